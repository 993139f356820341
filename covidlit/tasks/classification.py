"""Classification of whole CT volumes: one label for each scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryAUROC,
    BinaryRecall,
    BinarySpecificity,
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassRecall,
    MulticlassSpecificity,
)

from covidlit.errors import ConfigError
from covidlit.models.layers import check_choice
from covidlit.tasks.base import BaseTask, Batch, diverged
from covidlit.tasks.classifier import ClassifierMixin, counted
from covidlit.tasks.losses import loss_terms
from covidlit.tasks.scores import score_table

if TYPE_CHECKING:
    import pandas as pd

LOSSES = ("bce", "focal")


@runtime_checkable
class Sparse(Protocol):
    """A network with a sparsity penalty of its own (`CSACNet3D`)."""

    def sparsity(self) -> Tensor:
        """The penalty, a scalar that is added to the loss with a weight."""


class VolumeClassification(ClassifierMixin, BaseTask):
    """Binary or multi-class classification of CT volumes.

    A batch holds "image" (B, 1, z, y, x) float32, "target" (B,) int64 and "scan_id" (B texts);
    "counts" (B,) bool may mark scans as filling only, see `covidlit.datamodules.sampling.Draw`.

    Args:
        net: `_target_` (a class of `covidlit.models`) and its arguments; `n_outputs` is filled in.
        n_classes: 2 for a binary task (one logit), else the number of classes.
        loss: "bce" (cross-entropy, binary or over the classes) or "focal".
        focal_gamma: focusing parameter of the focal loss.
        class_weights: None, "balanced" (inverse frequency in the training part) or one per class.
        label_smoothing: share of each label that is spread evenly over the classes, in [0, 1).
        optimizer: `_target_` in torch.optim and its arguments; None is the paper's Adam, lr 1e-3.
        scheduler: `_target_` in torch.optim.lr_scheduler and its arguments, or None for a constant
            learning rate; see `BaseTask.configure_optimizers`.
        sparsity_weight: weight of the network's own penalty (`CSACNet3D.sparsity`).
        channels_last: keep weights and volumes in `torch.channels_last_3d` (faster convolutions).
        compile: compile the network with `torch.compile` (slow to start).

    Raises:
        ConfigError: an argument out of its range; the message names it.
    """

    takes = "volume"

    def __init__(
        self,
        net: Mapping[str, Any],
        n_classes: int = 2,
        loss: str = "bce",
        focal_gamma: float = 2.0,
        class_weights: str | Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        optimizer: Mapping[str, Any] | None = None,
        scheduler: Mapping[str, Any] | None = None,
        sparsity_weight: float = 0.0,
        channels_last: bool = True,
        compile: bool = False,
    ) -> None:
        if optimizer is None:
            optimizer = {"_target_": "torch.optim.Adam", "lr": 1e-3}
        super().__init__()

    def configure_models(self) -> None:
        self.net = self.build_net()
        if self.hparams["compile"]:
            if getattr(self.net, "activation_checkpointing", False):
                raise ConfigError(
                    "torch.compile cannot follow activation checkpointing.",
                    where="compile",
                    fix="set compile or net.activation_checkpointing to false.",
                )
            self.net.compile()
        if self.hparams["sparsity_weight"] and not isinstance(self.net, Sparse):
            raise ConfigError(
                f"{type(self.net).__name__} has no sparsity penalty.",
                where="sparsity_weight",
                fix="set sparsity_weight to 0.",
            )

    def configure_losses(self) -> None:
        check_choice(self.hparams["loss"], LOSSES, "loss")
        weights, n_classes = self.hparams["class_weights"], self.hparams["n_classes"]
        if isinstance(weights, str):
            check_choice(weights, ("balanced",), "class_weights")
        elif weights is not None and (len(weights) != n_classes or min(weights) <= 0):
            raise ConfigError(
                f"class_weights must be {n_classes} positive numbers, got {weights!r}.",
                where="class_weights",
                fix='give one weight per class, "balanced" or null.',
            )
        values = [1.0] * n_classes if weights is None or isinstance(weights, str) else weights
        self.class_weights: Tensor
        self.register_buffer("class_weights", torch.tensor(values, dtype=torch.float32))

    def configure_metrics(self) -> None:
        n_classes = self.hparams["n_classes"]
        metrics: dict[str, Metric]
        if n_classes == 2:
            metrics = {
                "auroc": BinaryAUROC(),
                "accuracy": BinaryAccuracy(),
                "sensitivity": BinaryRecall(),
                "specificity": BinarySpecificity(),
            }
        else:
            metrics = {
                "auroc": MulticlassAUROC(n_classes),
                "accuracy": MulticlassAccuracy(n_classes, average="micro"),
                "sensitivity": MulticlassRecall(n_classes),
                "specificity": MulticlassSpecificity(n_classes),
            }
        collection = MetricCollection(metrics)  # type: ignore[arg-type]
        self.train_metrics = collection.clone(prefix="train_")
        self.val_metrics = collection.clone(prefix="val_")
        self.test_metrics = collection.clone(prefix="test_")

    def on_fit_start(self) -> None:
        """Weigh the classes by their inverse frequency in the training part, if asked."""
        if self.hparams["class_weights"] != "balanced":
            return
        table = self.trainer.datamodule.table  # type: ignore[attr-defined]
        trained = (table["part"] == "train") & (table["status"] == "ok")
        targets = table.loc[trained, "target"].astype(int)
        n_classes = self.hparams["n_classes"]
        counts = [int((targets == label).sum()) for label in range(n_classes)]
        if min(counts) == 0:
            raise ConfigError(
                f"class_weights=balanced needs every class in the training part, got {counts}.",
                where="class_weights",
                fix=f"give numbers, as model.task.class_weights=[{','.join(['1.0'] * n_classes)}] "
                "(all alike) does, or train on every class.",
            )
        values = [len(targets) / (n_classes * count) for count in counts]
        self.class_weights.copy_(torch.tensor(values))

    def shared_step(self, batch: Batch, stage: str) -> Tensor:
        logits, target = self(batch["image"]), batch["target"]
        counts = counted(batch)
        losses, weights = loss_terms(
            logits,
            target,
            class_weights=None if self.hparams["class_weights"] is None else self.class_weights,
            label_smoothing=self.hparams["label_smoothing"],
            gamma=self.hparams["focal_gamma"] if self.hparams["loss"] == "focal" else 0.0,
        )
        scores, n_scans = self.scores(logits).detach(), len(target)
        if self._n_processes() == 1:
            loss = losses.sum() / weights.sum()
        else:
            # The mean over the batches of all processes: they may hold unlike numbers of scans, or
            # sums of weights. DDP takes the mean of the gradients, hence the number of processes.
            counts = counted(batch)
            own = torch.stack([weights[counts].sum(), counts.sum().to(weights.dtype)]).detach()
            total, size = self._sum_over_processes(own)
            loss, n_scans = losses[counts].sum() * self._n_processes() / total, int(size)
            scores, target = scores[counts], target[counts]
        metrics: MetricCollection = self.get_submodule(f"{stage}_metrics")  # type: ignore[assignment]
        metrics.update(scores, target)
        self.log(
            f"{stage}_loss", loss, on_step=False, on_epoch=True, batch_size=n_scans, sync_dist=True
        )
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=n_scans)
        if stage == "train" and self.hparams["sparsity_weight"]:
            assert isinstance(self.net, Sparse)  # checked in configure_models
            loss = loss + self.hparams["sparsity_weight"] * self.net.sparsity()
        return loss

    def example_batch(self, input_record: Mapping[str, Any], rows: int) -> Batch:
        """Volumes of the size of the network's input."""
        return {"image": torch.empty(rows, 1, *input_record["geometry"]["size"])}

    def graph_of(self, batch: Batch) -> Tensor:
        """Sum of the logits: the loss of so few numbers takes no memory to speak of."""
        return self(batch["image"]).float().sum()

    def table_of(self, batches: Sequence[Batch], classes: Sequence[str] = ()) -> pd.DataFrame:
        """`scan_id`, `score` and, with more than two classes, `score_<class>` of every scan."""
        lost = sum(int((~batch["score"].isfinite()).sum()) for batch in batches)
        if lost:
            raise diverged(f"{lost} scores are not finite")
        scan_ids = [scan_id for batch in batches for scan_id in batch["scan_id"]]
        scores = [row for batch in batches for row in batch["score"].double().tolist()]
        return score_table(scan_ids, scores, classes)
