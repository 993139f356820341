"""The base of every task: hyper-parameters, networks, losses, metrics, optimizer, checkpoint."""

from __future__ import annotations

import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from covidlit.checkpoints.checks import CHECKPOINT_FORMAT
from covidlit.datamodules.sampling import derive_seed
from covidlit.errors import CheckpointError, ConfigError, TrainingError
from covidlit.tasks.restore import restore
from covidlit.tasks.rng import rng_state, set_rng_state, set_seed
from covidlit.tasks.schedules import (
    PER_STEP,
    make_optimizer,
    make_scheduler,
    refusals_named,
    scheduler_name,
)
from covidlit.tasks.trainer_record import record_of_trainer
from covidlit.version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.datamodules.cohort_data import CohortData

Batch = dict[str, Any]


class BaseTask(pl.LightningModule, ABC):
    """A task saves its plain hyper-parameters, then makes its networks, losses and metrics.

    Subclasses take plain YAML types only (contract 10) and call `super().__init__()` last in their
    `__init__`; they need `optimizer` and `scheduler` among their hyper-parameters.

    Attributes:
        outcome: what a run of the task is after; a name of `covidlit.runs.outcomes.OUTCOMES`, or
            the dotted path of a class.
        takes: the kind of input (`CohortData.input_record`) that it learns from; None: not said.
        monitor, mode: the logged metric that checkpoints, early stopping and schedulers follow.
        record: what the run wants kept in the checkpoint: a plain mapping that holds the fields of
            `covidlit.checkpoints.RunRecord` (resolved configuration, split hash, preprocessing).
            Left empty, it is taken from the trainer's datamodule, as far as that tells.
    """

    monitor = "val_auroc"
    mode = "max"
    outcome = "classification"
    takes: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.save_hyperparameters()
        for name, value in self.hparams.items():
            self.hparams[name] = plain(value, name)
        self.record: dict[str, Any] = {}
        self._rng_of_epoch: dict[str, Any] | None = None
        self._rng_to_resume: dict[str, Any] | None = None
        self.configure_models()
        self.configure_losses()
        self.configure_metrics()

    @classmethod
    def check_input(cls, input_record: Mapping[str, Any]) -> None:
        """Refuse data of another kind than the task learns from.

        Raises:
            ConfigError: names both.
        """
        kind = input_record["kind"]
        if cls.takes not in (None, kind):
            raise ConfigError(
                f"the model learns from input of the kind {cls.takes!r}, and the data are of the "
                f"kind {kind!r}.",
                where="data",
                fix="choose a model of such data (data=slices: maskrcnn; data=factors: "
                "factor_thresholds, svm or random_forest), or other data.",
            )

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, **kwargs: Any) -> Self:  # type: ignore[override]
        """The trained task of a checkpoint, in evaluation mode on the CPU, with its `record`.

        Raises:
            CheckpointError: see `covidlit.tasks.restore.restore`; or it is of another task than
                this class.
            ConfigError: further arguments: the checkpoint alone says how it was trained.
        """
        if kwargs:
            raise ConfigError(f"only the path is taken, got also {', '.join(kwargs)}.")
        task = restore(checkpoint_path)
        if not isinstance(task, cls):
            raise CheckpointError(
                f"the checkpoint is of a {type(task).__name__}, not of a {cls.__name__}.",
                where=checkpoint_path,
                fix="use covidlit.tasks.load.load_task.",
            )
        return task

    @classmethod
    def fitted_to(cls, arguments: Mapping[str, Any], data: CohortData) -> dict[str, Any]:
        """The task's arguments with what the training part decides, such as names of classes.

        A run calls it before it builds the task that it trains.

        Args:
            arguments: of the task, plain types.
            data: set up.
        """
        return dict(arguments)

    def facts(self) -> dict[str, Any]:
        """What the training part has decided, for the report, such as the features it chose."""
        return {}

    @abstractmethod
    def configure_models(self) -> None:
        """Build `self.net` from the hyper-parameters."""

    @abstractmethod
    def configure_losses(self) -> None:
        """Make the losses from the hyper-parameters."""

    @abstractmethod
    def configure_metrics(self) -> None:
        """Make `self.metrics`, the metrics of each stage."""

    @abstractmethod
    def shared_step(self, batch: Batch, stage: str) -> Tensor:
        """Loss of a batch, with everything logged; `stage` is "train", "val" or "test"."""

    @abstractmethod
    def table_of(self, batches: Sequence[Batch], classes: Sequence[str] = ()) -> pd.DataFrame:
        """What `predict_step` returned for each batch, as the columns that the outcome needs.

        Args:
            batches: of one part, in order.
            classes: names of the classes, where there are more than two.

        Raises:
            TrainingError: a score is not finite.
        """

    def example_batch(self, input_record: Mapping[str, Any], rows: int) -> Batch:
        """Tensors of the sizes that a training batch has; see `graph_of`.

        Args:
            input_record: of the data (`covidlit.datamodules.cohort_data.CohortData`).
            rows: per batch.

        Raises:
            NotImplementedError: the sizes of a batch are not known beforehand.
        """
        raise NotImplementedError

    def graph_of(self, batch: Batch) -> Tensor:
        """A scalar whose graph holds what that of a training step holds, with nothing logged.

        For the estimate of a step's memory (`covidlit.runs.step_memory`), on tensors without
        content.

        Raises:
            NotImplementedError: the task cannot do without the content.
        """
        raise NotImplementedError

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self.shared_step(batch, "train")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.shared_step(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.shared_step(batch, "test")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer and the scheduler of the hyper-parameters.

        Lengths and the top learning rate of a scheduler are filled in from the trainer and the
        optimizer; OneCycleLR and CosineAnnealingLR step after every batch, the others every epoch.

        Raises:
            ConfigError: a class that is not allowed, or settings that it refuses.
        """
        optimizer = make_optimizer(self._optimizer_node(), self.parameters())
        node = self.hparams["scheduler"]
        if not node:
            return optimizer
        name = scheduler_name(node)
        scheduler = make_scheduler(node, optimizer, lambda: self._total_steps(name), self.mode)
        interval = "step" if name in PER_STEP else "epoch"
        plateau = name == "ReduceLROnPlateau"  # has its metric only after a validation
        every = (self.trainer.check_val_every_n_epoch or 1) if plateau else 1
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": scheduler,
                "interval": interval,
                "frequency": every,
                "monitor": self.monitor,
            },
        }

    def _optimizer_node(self) -> dict[str, Any]:
        """The optimizer as asked for, unfused where Lightning cannot clip a fused one's gradients.

        A fused optimizer undoes the loss scaling of 16-mixed itself, after the clipping. Both forms
        compute the same update.
        """
        node = dict(self.hparams["optimizer"])
        trainer = self._trainer
        if trainer is not None and trainer.gradient_clip_val and trainer.precision == "16-mixed":
            node.pop("fused", None)
        return node

    def _total_steps(self, scheduler: str) -> int:
        steps = self.trainer.estimated_stepping_batches
        if steps == float("inf"):
            raise ConfigError(
                f"{scheduler} needs to know the number of steps, but training has no end.",
                where="scheduler",
                fix="give trainer.max_epochs=75, or an end in steps: +trainer.max_steps=5000.",
            )
        return int(steps)

    def lr_scheduler_step(self, scheduler: Any, metric: Any | None) -> None:
        with refusals_named(self.hparams["scheduler"], "scheduler"):
            super().lr_scheduler_step(scheduler, metric)

    # Resuming bit for bit. Lightning draws from torch's generator when it makes a data loader's
    # iterator: after on_train_epoch_start in a run without a break, before it in a resumed one. So
    # the first batch of an epoch starts from the state that the epoch started with, in both.

    def on_train_epoch_start(self) -> None:
        if self._rng_to_resume is not None and self.global_rank == 0:
            set_rng_state(self._rng_to_resume)
        self._rng_to_resume = None
        if self._n_processes() > 1:
            self._draw_unlike_the_first_process()
        self._rng_of_epoch = rng_state()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        if batch_idx == 0 and self._rng_of_epoch is not None:
            set_rng_state(self._rng_of_epoch)
        self._rng_of_epoch = None

    # The processes of one training start from the same seed. Each needs draws of its own, or the
    # same positions of every batch would be dropped out on all devices; and a resumed run knows the
    # state of the first process alone. So the others' states follow from that one, every epoch.

    def _draw_unlike_the_first_process(self) -> None:
        state = rng_state()["torch"].numpy().tobytes() if self.global_rank == 0 else b""
        state = self.trainer.strategy.broadcast(state)
        if self.global_rank:
            set_seed(derive_seed("process", self.global_rank, state.hex()))

    def _n_processes(self) -> int:
        return 1 if self._trainer is None else self._trainer.world_size

    def _sum_over_processes(self, values: Tensor) -> Tensor:
        summed = self.trainer.strategy.reduce(values, reduce_op="sum")
        assert isinstance(summed, Tensor)
        return summed

    def on_validation_epoch_end(self) -> None:
        self._require_finite("val_loss")

    def on_train_epoch_end(self) -> None:
        self._require_finite("train_loss")

    def _require_finite(self, name: str) -> None:
        """Stop a diverged run, before this epoch's weights replace an earlier checkpoint.

        Once an epoch: a look at the loss after every step would make a GPU wait.
        """
        if self.trainer.state.fn != "fit" or self.trainer.sanity_checking:
            return
        loss = self.trainer.callback_metrics.get(name)
        if loss is not None and not torch.isfinite(loss):
            raise diverged(f"{name} is {float(loss)} in epoch {self.current_epoch}")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the record, versions and generator states; weights are no longer "pretrained"."""
        parameters = dict(checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {}))
        net = parameters.get("net")
        if isinstance(net, Mapping) and net.get("pretrained") is not None:
            # The checkpoint holds all weights; its reader need not have that file.
            parameters["net"] = {**net, "pretrained": None}
            checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = parameters
        kind = type(self)
        checkpoint["covidlit"] = {
            "format": CHECKPOINT_FORMAT,
            "task": f"{kind.__module__}.{kind.__qualname__}",
            "record": plain(self.record or record_of_trainer(self._trainer), "record"),
            "versions": {
                "covidlit": __version__,
                "python": platform.python_version(),
                "torch": str(torch.__version__),
                "pytorch_lightning": pl.__version__,
            },
            "rng": rng_state(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the generator states until the first epoch that follows."""
        self._rng_to_resume = checkpoint.get("covidlit", {}).get("rng")


def diverged(found: str) -> TrainingError:
    """The error for a network whose weights have run away; `found` says what shows it."""
    return TrainingError(
        f"training diverged: {found}.",
        fix="lower the learning rate (model.task.optimizer.lr) and train again; where "
        "trainer.precision is 16-mixed, bf16-mixed or 32-true may help too.",
    )


def plain(value: Any, name: str) -> Any:
    """A copy of `value` in plain YAML types: mappings, lists, text, numbers, truth values, None.

    Raises:
        ConfigError: anything else, with the name of where it stands.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner, f"{name}.{key}") for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [plain(inner, f"{name}[{index}]") for index, inner in enumerate(value)]
    raise ConfigError(
        f"a task takes plain YAML types only, got a {type(value).__name__}.",
        where=name,
        fix="pass the mapping with `_target_` instead of the object it describes.",
    )
