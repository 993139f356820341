"""PyTorch as an engine: the trained task itself, in the precision of its run."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from covidlit.checkpoints.given import Given, complete_record
from covidlit.datamodules.volume_dataset import apply_window
from covidlit.deploy.engine import check_volumes, on_threads
from covidlit.errors import ConfigError
from covidlit.tasks.load import load_for_prediction
from covidlit.tasks.threads import torch_threads

AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class TorchEngine:
    """The network of a checkpoint, eager, on any device.

    Args:
        checkpoint: of `covidlit train`.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
        threads: of PyTorch on the CPU; None leaves its own number.
        float32: compute in float32 whatever the precision of the run was.
        given: what the checkpoint's record lacks.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, untrusted or of another model.
        ConfigError: there is no such device.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        device: str = "auto",
        threads: int | None = None,
        float32: bool = False,
        given: Given | None = None,
    ) -> None:
        self.device = find_device(device)
        task = load_for_prediction(checkpoint)
        self.record = complete_record(task.record, given, checkpoint)
        self.task = task.to(self.device)
        self.threads = threads
        self.precision = str(self.record.config.get("trainer", {}).get("precision", "32-true"))
        self.dtype = None if float32 else AUTOCAST.get(self.precision)

    @property
    def name(self) -> str:
        if self.device.type != "cpu":
            return f"torch on {self.device}"
        return on_threads("torch", self.threads or torch.get_num_threads())

    @torch.inference_mode()
    def scores(self, hu: NDArray[np.int16]) -> list[Any]:
        """See `Engine.scores`."""
        check_volumes(hu, self.record)
        cast = torch.autocast(self.device.type, self.dtype) if self.dtype else nullcontext()
        with torch_threads(self.threads):
            volumes = torch.from_numpy(hu)[:, None].to(self.device)
            images = apply_window(volumes, self.record.volume_input.window)
            with cast:
                batch = {"image": images, "scan_id": [""] * len(images)}
                return self.task.predict_step(batch, 0)["score"].double().tolist()


def find_device(name: str) -> torch.device:
    """The device of that name, or for "auto" a GPU if there is one.

    Raises:
        ConfigError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # meta holds no numbers
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"there is no device {name!r} here: {reason}", where="device", fix="use auto or cpu."
        ) from error
    return device
