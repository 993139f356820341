"""How a checkpoint is written: whole or not at all, wherever temporary files lie."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from covidlit.files import atomic_path


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and replaces it.

    Lightning writes below the system's temporary folder and moves the file from there. Where that
    is another file system (a tmpfs, a scratch disk), the move is a copy over the checkpoint of the
    epoch before, and a run that ends meanwhile has neither.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write `checkpoint` to `path`.

        Raises:
            CovidlitError: the disk is full or the folder cannot be written.
        """
        # To memory first: torch.save says of a full disk only that a write failed.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        with atomic_path(path) as temporary:
            temporary.write_bytes(buffer.getbuffer())
