"""Severity from imaging and clinical features: the fusion network as a LightningModule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryAUROC,
    BinaryRecall,
    BinarySpecificity,
)

from covidlit.errors import ConfigError
from covidlit.models.fusion_ann.fit import fit_preparation
from covidlit.tasks.base import BaseTask, Batch, diverged
from covidlit.tasks.fusion import FusionMixin, key_of
from covidlit.tasks.held_out import calibrated, held_out_folds
from covidlit.tasks.scores import score_table

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.datamodules.cohort_data import CohortData
    from covidlit.datamodules.tables.table_dataset import TableDataset

KINDS = ("clinical", "factors")

CALIBRATED_AT_ONCE = 4096
"""Rows that are scored at once to calibrate: what this takes is little beside a step."""


class SeverityPrediction(FusionMixin, BaseTask):
    """An ensemble of fusion networks on features of lesions, laboratory values and the like.

    A batch holds "numbers" (B, columns) float32, NaN where one is missing; "target" (B,) int64;
    the rows' names, "patient_id" or "scan_id"; "counts" (B,) bool, see
    `covidlit.datamodules.sampling.Draw`.

    All that is fitted on data (which features, their scaling, what a missing one counts as, the
    calibration) is fitted on the training rows and kept in the checkpoint as plain numbers. Beside
    the members that score, further ones are trained on parts of the training rows; their scores of
    the rows that each has not learnt from calibrate the ensemble (Platt; Large Margin Classifiers
    2000). Features are chosen and scaled alike for all of them.

    Args:
        net: `_target_` (`covidlit.models.FusionANN`) and its arguments but `preparation`.
        features: groups of features or features by name; None: all that the data have.
        k_best: so many features by their F value stay; None: all. The paper: 15 of 28.
        transform: of numbers, "quantile" or "standard".
        indicators: say to the network where a number is missing.
        preparation: fitted where a run trains the task; see `covidlit.models.fusion_ann.fit`.
        columns: names of the raw numbers, in order; filled in where a run trains the task.
        calibration_folds: of the training rows, by patient; 0: no calibration.
        calibration_members: of the ensemble, for each of these folds.
        class_weights: None, "balanced" (inverse frequency in each batch) or one per class.
        n_classes: 2.
        optimizer: `_target_` in torch.optim and its arguments; None is AdamW.
        scheduler: `_target_` in torch.optim.lr_scheduler and its arguments, or None.

    Raises:
        ConfigError: an argument out of its range; the message names it.
    """

    def __init__(
        self,
        net: Mapping[str, Any],
        features: str | Sequence[str] | None = None,
        k_best: int | None = None,
        transform: str = "quantile",
        indicators: bool = True,
        preparation: Mapping[str, Any] | None = None,
        columns: Sequence[str] | None = None,
        calibration_folds: int = 5,
        calibration_members: int = 2,
        class_weights: str | Sequence[float] | None = None,
        n_classes: int = 2,
        optimizer: Mapping[str, Any] | None = None,
        scheduler: Mapping[str, Any] | None = None,
    ) -> None:
        if n_classes != 2:
            raise ConfigError(
                f"the network tells two classes apart, and there are {n_classes}.",
                where="label_rule",
                fix="use a label rule of two classes, such as label_rule=by_class.",
            )
        if optimizer is None:
            optimizer = {"_target_": "torch.optim.AdamW", "lr": 1e-3, "weight_decay": 3.0}
        super().__init__()

    @classmethod
    def check_input(cls, input_record: Mapping[str, Any]) -> None:
        """Refuse data that are no table of numbers.

        Raises:
            ConfigError: names the kind.
        """
        if input_record["kind"] not in KINDS:
            raise ConfigError(
                "the model learns from tables of numbers, and the data are of the kind "
                f"{input_record['kind']!r}.",
                where="data",
                fix="choose data=clinical or data=factors, or another model.",
            )

    @classmethod
    def fitted_to(cls, arguments: Mapping[str, Any], data: CohortData) -> dict[str, Any]:
        """The arguments with the preparation, fitted on the rows of the training part."""
        if arguments.get("preparation"):
            return dict(arguments)
        data.check_learnable()
        asked = arguments.get("features")
        groups = [asked] if isinstance(asked, str) else asked
        columns = list(data.feature_table(None)["name"])
        try:
            names = list(data.feature_table(groups)["name"])
        except ConfigError as error:
            where = str(error.where).replace("model.features", "model.task.features")
            raise ConfigError(error.what, where=where, fix=error.fix) from error
        rows = data.rows_of("train")
        settings = fit_preparation(
            data.features_of("train", None)[columns].to_numpy(dtype=np.float64),
            rows["target"].to_numpy(dtype=np.int64),
            [columns.index(name) for name in names],
            names,
            transform=arguments.get("transform", "quantile"),
            k_best=arguments.get("k_best"),
            indicators=arguments.get("indicators", True),
        )
        return {**arguments, "preparation": settings, "columns": columns}

    def configure_models(self) -> None:
        self.net = self.build_net()
        self.n_scoring = int(self.hparams["net"].get("members", 8))
        self.calibration: Tensor
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))  # factor and offset of logits
        self._fold_of: dict[str, int] = {}

    def facts(self) -> dict[str, Any]:
        """Which features are used, which are not and why, and how scores became probabilities."""
        settings = self.hparams["preparation"]
        reasons: dict[str, list[str]] = {}
        for name, why in (settings.get("left_out") or {}).items():
            reasons.setdefault(why, []).append(name)
        factor, offset = (float(value) for value in self.calibration)
        shown = f"Platt: {factor:.2f} x logit {offset:+.2f}, on rows held back in training"
        return {
            "features": f"{len(settings['names'])}: {', '.join(settings['names'])}",
            **{f"features {why}": ", ".join(names) for why, names in reasons.items()},
            "ensemble": f"{self.n_scoring} members",
            "calibration": "none" if (factor, offset) == (1.0, 0.0) else shown,
        }

    def configure_losses(self) -> None:
        weights = self.hparams["class_weights"]
        given = isinstance(weights, Sequence) and not isinstance(weights, str)
        if not (weights is None or weights == "balanced" or (given and len(weights) == 2
                and min(weights) > 0)):  # fmt: skip
            raise ConfigError(
                f"must be null, balanced or 2 positive numbers, not {weights!r}.",
                where="class_weights", fix="use balanced.",
            )  # fmt: skip

    def configure_metrics(self) -> None:
        collection = MetricCollection(
            {
                "auroc": BinaryAUROC(),
                "accuracy": BinaryAccuracy(),
                "sensitivity": BinaryRecall(),
                "specificity": BinarySpecificity(),
            }
        )
        self.train_metrics = collection.clone(prefix="train_")
        self.val_metrics = collection.clone(prefix="val_")
        self.test_metrics = collection.clone(prefix="test_")

    def hold_out(self, rows: pd.DataFrame, key: str) -> None:
        """Say which training rows each calibrating member does not see.

        Args:
            rows: of the training part, with `target`, `patient_id` and the column `key`.
            key: name of the rows' names, such as `patient_id`.
        """
        folds = held_out_folds(rows, self.hparams["calibration_folds"])
        self._fold_of = dict(zip(rows[key].astype(str), folds, strict=True))

    def on_fit_start(self) -> None:
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        if hasattr(data, "rows_of"):
            self.hold_out(data.rows_of("train"), f"{data.unit}_id")
        self._threads = torch.get_num_threads()
        if self.device.type == "cpu":
            torch.set_num_threads(1)  # so small a network that threads cost more than they save

    def on_fit_end(self) -> None:
        torch.set_num_threads(self._threads)

    def weights_of(self, batch: Batch) -> Tensor:
        """(members, B) share of each row in a member's loss; each member's sum to 1, or to 0."""
        target = batch["target"]
        weights = torch.ones(len(target), device=target.device)
        if (given := self.hparams["class_weights"]) == "balanced":
            shares = torch.stack([(target == label).float().mean() for label in (0, 1)])
            weights = (0.5 / shares.clamp_min(1e-6))[target]
        elif given is not None:
            weights = torch.tensor([float(w) for w in given], device=target.device)[target]
        weights = weights * batch["counts"] if "counts" in batch else weights
        own = weights * self._trains(batch[key_of(batch)]).to(weights)
        return own / own.sum(1, keepdim=True).clamp_min(1e-6)

    def _trains(self, names: Sequence[str]) -> Tensor:
        """(members, B) whether a row is of those that a member learns from."""
        folds = torch.tensor([self._fold_of.get(name, -1) for name in names])
        held = torch.arange(self.hparams["calibration_folds"]).repeat_interleave(
            self.hparams["calibration_members"]
        )
        every = torch.ones(self.n_scoring, len(folds), dtype=torch.bool)
        return torch.cat([every, folds[None] != held[:, None]]).to(self.calibration.device)

    def shared_step(self, batch: Batch, stage: str) -> Tensor:
        logits, target = self.net(batch["numbers"]), batch["target"]
        loss = self.loss_of(logits, batch) if stage == "train" else self.plain_loss(logits, batch)
        scores = self.scores(logits.detach())
        counts = batch.get("counts", torch.ones_like(target, dtype=torch.bool))
        metrics: MetricCollection = self.get_submodule(f"{stage}_metrics")  # type: ignore[assignment]
        metrics.update(scores[counts], target[counts])
        size = max(int(counts.sum()), 1)
        # Of one scoring member, so that it can be compared between ensembles of any size.
        shown = self.plain_loss(logits, batch).detach()
        self.log(f"{stage}_loss", shown, on_step=False, on_epoch=True, batch_size=size,
                 sync_dist=True)  # fmt: skip
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=size)
        return loss

    def loss_of(self, logits: Tensor, batch: Batch) -> Tensor:
        """The sum over all members of the mean cross-entropy of the rows that each learns from."""
        target = batch["target"].to(logits).expand_as(logits)
        losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return (losses * self.weights_of(batch)).sum()

    def plain_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Mean cross-entropy of the scoring members and of the rows."""
        own = logits[: self.n_scoring]
        target = batch["target"].to(logits).expand_as(own)
        losses = functional.binary_cross_entropy_with_logits(own, target, reduction="none")
        counts = batch.get("counts", torch.ones_like(batch["target"], dtype=torch.bool))
        return losses[:, counts].mean()

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        if self._fold_of:
            self.calibrate(self.trainer.train_dataloader.dataset)  # type: ignore[union-attr]

    @torch.no_grad()
    def calibrate(self, rows: TableDataset) -> None:
        """Fit factor and offset of the logits to rows that were held back, in place.

        Each row counts once, scored by the members that have not learnt from it: a score is then a
        probability among the rows as they are, however often each was drawn or weighted.

        Args:
            rows: all of the training part.
        """
        unseen = ~self._trains([str(name) for name in rows.names])
        held = unseen.any(0).nonzero()[:, 0]
        if not len(held):
            return
        was_training = self.net.training
        self.net.eval()
        found = []
        for some in held.split(CALIBRATED_AT_ONCE):
            logits = self.net(rows.numbers.to(held.device)[some])
            found.append((logits * unseen[:, some]).sum(0) / unseen[:, some].sum(0))
        self.net.train(was_training)
        fitted = calibrated(
            torch.cat(found).double().cpu().numpy(), rows.targets[held.cpu().numpy()]
        )
        self.calibration.copy_(torch.tensor(fitted))

    def example_batch(self, input_record: Mapping[str, Any], rows: int) -> Batch:
        """Numbers of as many columns as the data have."""
        return {"numbers": torch.zeros(rows, len(input_record["columns"]))}

    def graph_of(self, batch: Batch) -> Tensor:
        """Sum of the logits."""
        found: Tensor = self.net(batch["numbers"]).sum()
        return found

    def table_of(self, batches: Sequence[Batch], classes: Sequence[str] = ()) -> pd.DataFrame:
        """The rows' names and `score`, the calibrated probability of the positive class."""
        lost = sum(int((~batch["score"].isfinite()).sum()) for batch in batches)
        if lost:
            raise diverged(f"{lost} scores are not finite")
        key = key_of(batches[0]) if batches else "scan_id"
        names = [name for batch in batches for name in batch[key]]
        scores = [value for batch in batches for value in batch["score"].double().tolist()]
        return score_table(names, scores, classes, key=key)
