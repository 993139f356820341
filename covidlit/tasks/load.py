"""The trained task of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from covidlit.checkpoints.file import described, load_checkpoint
from covidlit.checkpoints.weights import check_weights
from covidlit.empty_weights import EmptyWeights
from covidlit.settings.targets import build

if TYPE_CHECKING:
    from covidlit.tasks.base import BaseTask


def load_task(path: str | Path) -> BaseTask:
    """The trained task of a checkpoint, in evaluation mode on the CPU, with its `record`.

    Raises:
        CheckpointError: see `load_checkpoint`; or its weights do not fit the network that its
            hyper-parameters describe.
    """
    checkpoint = load_checkpoint(path)
    node = {**checkpoint["hyper_parameters"], "_target_": checkpoint["covidlit"]["task"]}
    with described(path), EmptyWeights():
        task: BaseTask = build(node, "tasks")
    check_weights(task.state_dict(), checkpoint["state_dict"], path)
    task.load_state_dict(checkpoint["state_dict"])
    task.record = checkpoint["covidlit"]["record"]
    del checkpoint  # Lightning's save_hyperparameters keeps this frame, until garbage is collected
    return task.eval()
