"""Read MedicalNet's pretrained weights (Chen et al., "Med3D", arXiv:1904.00625) from a file."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from covidlit.errors import CheckpointError
from covidlit.models.weight_differences import weight_differences
from covidlit.process import archive_problem


def load_medicalnet(backbone: nn.Module, path: str | Path) -> None:
    """Load MedicalNet weights into MONAI's ResNet, in place.

    Args:
        backbone: `monai.networks.nets.resnet.ResNet` without its fully connected layer.
        path: file with {"state_dict": {"module.conv1.weight": ...}}, or the inner mapping alone;
            the "module." may be missing, and segmentation heads ("conv_seg", "fc") are left out.

    Raises:
        CheckpointError: no such file, not a file of tensors, or weights of another network; the
            message names the missing, unexpected and wrongly shaped keys.
    """
    weights = {name.removeprefix("module."): value for name, value in _read(Path(path)).items()}
    weights = {
        name: value for name, value in weights.items() if not name.startswith(("conv_seg.", "fc."))
    }
    # Counters of the batch norms are absent from files written by old versions of torch.
    own = {
        name: value
        for name, value in backbone.state_dict().items()
        if name in weights or not name.endswith("num_batches_tracked")
    }
    if found := weight_differences(own, weights):
        raise CheckpointError(
            f"the weights do not fit this network ({found}).",
            where=path,
            fix="set depth, width, shortcut_type, bias_downsample and norm of model.task.net as in "
            "the file (MedicalNet's resnet_18 and resnet_34: model.task.net.shortcut_type=A).",
        )
    backbone.load_state_dict(weights, strict=False)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError("there is no such file.", where=path, fix="check `pretrained`.")
    if problem := archive_problem(path, expansion=1.1, spare=16 << 20):
        raise CheckpointError(f"{problem}.", where=path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise CheckpointError(
            f"the file is damaged or holds more than tensors: {str(error).splitlines()[0]}",
            where=path,
            fix="download the weights again from a source that you trust.",
        ) from error
    weights = content.get("state_dict", content) if isinstance(content, dict) else None
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise CheckpointError(
            "the file holds no mapping from names to tensors.",
            where=path,
            fix="give a file in MedicalNet's format ({'state_dict': {...}}).",
        )
    return weights
