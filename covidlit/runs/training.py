"""What stands around a training of Lightning's: its settings, its first lines, its loggers' end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.settings.words import Node

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from covidlit.datamodules.cohort_data import CohortData
    from covidlit.tasks import BaseTask

log = logging.getLogger(__name__)


def instead_of(callback: str) -> str:
    """The setting by which a callback goes that follows validation scores."""
    own = ("best", "last", "early_stopping", "progress_bar")
    return "callbacks=last_epoch" if callback in own else f"~callbacks.{callback}"


def is_idle(node: Node, weights: str, data: CohortData) -> bool:
    """Whether a callback would keep the best weights of a run that takes the last anyway.

    Args:
        node: of the callback.
        weights: that the run takes, "best" or "last".
        data: of the run; with a validation part it does no harm.
    """
    best = str(node["_target_"]).endswith("Checkpoint") and node.get("monitor") == "task"
    return best and weights == "last" and not data.split.scans("validation")


def without_unusable_sync(trainer: Node) -> Node:
    """The node of a Trainer without `sync_batchnorm` on CPUs, for which torch cannot do it."""
    if not trainer.get("sync_batchnorm") or trainer.get("accelerator") != "cpu":
        return trainer
    log.warning(
        "Batch norm uses the statistics of each process alone: torch synchronises them on GPUs "
        "only. Group norm (model.task.net.norm=group) needs no statistics of a batch."
    )
    return {**trainer, "sync_batchnorm": False}


def log_start(facts: Mapping[str, Any], trainer: pl.Trainer) -> None:
    """Log what is trained, and on what."""
    facts = {k: f"{v:,}" if isinstance(v, int) else v for k, v in facts.items()}
    log.info("%s.", "; ".join(f"{name}: {value}" for name, value in facts.items()))
    device = type(trainer.accelerator).__name__.removesuffix("Accelerator")
    log.info(
        "Training on %d x %s, precision %s, up to %s epochs.",
        trainer.world_size, device, trainer.precision, trainer.max_epochs,
    )  # fmt: skip


def finish_wandb(trainer: pl.Trainer) -> None:
    """End the run of Weights & Biases, or the next job of a sweep would write into it."""
    from pytorch_lightning.trainer.states import TrainerStatus

    from covidlit.runs.weights_and_biases import RunLogger

    for logger in trainer.loggers:
        if isinstance(logger, RunLogger):
            logger.finish(failed=trainer.state.status != TrainerStatus.FINISHED)


def keep_trained(task: BaseTask, trained: BaseTask, trainer: pl.Trainer, run_dir: Path) -> Path:
    """Give a task the weights of one that was trained elsewhere, and keep them as its checkpoint.

    Returns:
        The checkpoint, in `run_dir`.
    """
    task.load_state_dict(trained.state_dict())
    import pytorch_lightning as pl

    class Ended(pl.Callback):
        """What the checkpoint of a training's last epoch says of the epoch."""

        def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
            checkpoint["epoch"] = n_epochs - 1

    n_epochs = int(trainer.max_epochs or 1)
    trainer.strategy.connect(task)  # what saving needs
    trainer.callbacks.append(Ended())  # type: ignore[attr-defined]  # a property
    progress: Any = trainer.fit_loop.epoch_progress  # a run that goes on has nothing left to train
    for each in (progress.current, progress.total):
        each.ready = each.started = each.processed = n_epochs
        each.completed = n_epochs - 1
    path = run_dir / "checkpoints" / "last.ckpt"
    trainer.save_checkpoint(path)
    return path
