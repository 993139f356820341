"""The trained task of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from covidlit.checkpoints.file import described, load_checkpoint
from covidlit.checkpoints.weights import check_weights
from covidlit.settings.targets import CLASSIFICATION, build
from covidlit.tasks.classifier import Classifier

if TYPE_CHECKING:
    from covidlit.tasks.base import BaseTask

_CLASSIFICATIONS = (CLASSIFICATION, "covidlit.tasks.VolumeClassification")


def load_task(path: str | Path) -> BaseTask:
    """The trained task of a checkpoint, in evaluation mode on the CPU, with its `record`.

    Raises:
        CheckpointError: see `load_checkpoint`; or its weights do not fit the network that its
            hyper-parameters describe.
    """
    task: BaseTask = _load(path, _build_task)
    return task


def load_for_prediction(path: str | Path) -> Classifier | BaseTask:
    """As `load_task`, and without Lightning where the task is a classification.

    Raises:
        CheckpointError: see `load_task`.
    """
    task: Classifier | BaseTask = _load(
        path,
        lambda name, hparams: (
            Classifier(hparams) if name in _CLASSIFICATIONS else _build_task(name, hparams)
        ),
    )
    return task


def _load(path: str | Path, make: Callable[[str, Mapping[str, Any]], Any]) -> Any:
    checkpoint = load_checkpoint(path)
    # The weights that a new network draws are replaced: nobody's random numbers are to be spent.
    with described(path), torch.random.fork_rng(devices=()):
        task = make(checkpoint["covidlit"]["task"], checkpoint["hyper_parameters"])
    check_weights(task.state_dict(), checkpoint["state_dict"], path)
    task.load_state_dict(checkpoint["state_dict"])
    task.record = checkpoint["covidlit"]["record"]
    del checkpoint  # Lightning's save_hyperparameters keeps this frame, until garbage is collected
    return task.eval()


def _build_task(name: str, hparams: Mapping[str, Any]) -> Any:
    return build({**hparams, "_target_": name}, "tasks")
