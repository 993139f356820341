"""A trained module from its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from covidlit.checkpoints.checks import described
from covidlit.checkpoints.file import load_checkpoint
from covidlit.checkpoints.growth import no_larger_than
from covidlit.checkpoints.weights import check_weights
from covidlit.settings.targets import build


def restore(
    path: str | Path, instead: Mapping[str, Callable[[Mapping[str, Any]], Any]] | None = None
) -> Any:
    """The trained task of a checkpoint, in evaluation mode on the CPU, with its `record`.

    Args:
        path: of the checkpoint.
        instead: what makes another module of the same weights from a task's hyper-parameters, by
            the name of the task.

    Raises:
        CheckpointError: see `load_checkpoint`; or its weights do not fit the network that its
            hyper-parameters describe.
    """
    checkpoint = load_checkpoint(path)
    name, hparams = checkpoint["covidlit"]["task"], checkpoint["hyper_parameters"]
    make = (instead or {}).get(name)
    # Drawing the weights that are replaced takes 0.2 s for 27.5 million. On torch's meta device it
    # takes none, but there a network's constants and the task's metrics would be lost.
    weights = checkpoint["state_dict"]
    with described(path), no_larger_than(weights), torch.random.fork_rng(devices=()):
        task = make(hparams) if make else build({**hparams, "_target_": name}, "tasks")
    check_weights(task.state_dict(), weights, path)
    task.load_state_dict(weights)
    task.record = checkpoint["covidlit"]["record"]
    del (
        checkpoint,
        weights,
    )  # Lightning's save_hyperparameters keeps this frame, until garbage is collected
    return task.eval()
