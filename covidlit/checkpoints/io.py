"""How a training writes, reads and removes its checkpoints: whole files, in its own folders."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from covidlit.checkpoints.file import load_checkpoint
from covidlit.errors import CheckpointError
from covidlit.files import atomic_path

_FILE_NAME = re.compile(r"\w[\w.=+-]*")


class RunCheckpointIO(TorchCheckpointIO):
    """Reads and writes the checkpoints of one run.

    Lightning writes below the system's temporary folder and moves the file from there. Where that
    is another file system (a tmpfs, a scratch disk), the move is a copy over the checkpoint of the
    epoch before, and a run that ends meanwhile has neither. And it trusts the paths that a
    checkpoint's callbacks have noted: it removes them, with all that is below.

    Args:
        folders: of the run, and where else it keeps checkpoints; nothing is removed elsewhere.
    """

    def __init__(self, folders: Sequence[str | Path]) -> None:
        self.folders = [Path(folder).resolve() for folder in folders]

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write `checkpoint` beside `path`, and put it in its place.

        Raises:
            CovidlitError: the disk is full or the folder cannot be written.
        """
        # To memory first: torch.save says of a full disk only that a write failed.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        with atomic_path(path) as temporary:
            temporary.write_bytes(buffer.getbuffer())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """The checkpoint that a training goes on from, its callbacks' paths taken to their files.

        Raises:
            CheckpointError: see `covidlit.checkpoints.file.load_checkpoint`.
        """
        checkpoint = load_checkpoint(path)
        states = checkpoint.get("callbacks")
        checkpoint["callbacks"] = {
            str(name): self._within(state, Path(path).absolute().parent)
            for name, state in (states.items() if isinstance(states, Mapping) else ())
            if isinstance(state, Mapping)
        }
        return checkpoint

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint of this run.

        Raises:
            CheckpointError: it lies elsewhere.
        """
        place = Path(path).resolve()
        if not any(folder in place.parents for folder in self.folders):
            raise CheckpointError(
                "this is no checkpoint of the run that is to remove it.",
                where=path,
                fix="start the run without ckpt_path, or from a checkpoint of its own.",
            )
        super().remove_checkpoint(path)

    def _within(self, state: Mapping[Any, Any], beside: Path) -> dict[str, Any]:
        """Numbers and tensors of a callback's state, and the names of its files.

        The files are taken for those of this run where the state's folder is the run's own, and
        else for those beside the checkpoint that was read.
        """
        stated = str(state.get("dirpath") or "")
        own = bool(stated) and self._is_own(Path(stated))
        folder = Path(stated) if own else beside
        kept = {str(key): _plain(value, folder) for key, value in state.items()}
        if "dirpath" in kept:
            kept["dirpath"] = stated if own else ""
        return kept

    def _is_own(self, path: Path) -> bool:
        place = path.resolve()
        return any(folder in (place, *place.parents) for folder in self.folders)


def _plain(value: Any, folder: Path) -> Any:
    if value is None or isinstance(value, bool | int | float | Tensor):
        return value
    if isinstance(value, str):
        return _file(value, folder)
    if isinstance(value, Mapping):
        return {_plain(key, folder): _plain(inner, folder) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, folder) for inner in value]
    return None


def _file(text: str, folder: Path) -> str:
    """A text as it is; of a path the file's name, below `folder`."""
    name = Path(text).name
    if name == text or not text:
        return text
    if not _FILE_NAME.fullmatch(name):
        return ""
    return str(folder / name)
