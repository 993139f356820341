"""Read MedicalNet's pretrained weights (Chen et al., "Med3D", arXiv:1904.00625) from a file."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from covidlit.errors import CheckpointError


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
    own = backbone.state_dict()
    # Counters of the batch norms are absent from files written by old versions of torch.
    missing = [name for name in own.keys() - weights if not name.endswith("num_batches_tracked")]
    unexpected = list(weights.keys() - own)
    shapes = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own.keys() & weights.keys()
        if weights[name].shape != own[name].shape
    ]
    parts = [
        f"{len(names)} {label}: {', '.join(sorted(names)[:3])}{' ...' if len(names) > 3 else ''}"
        for label, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", shapes),
        )
        if names
    ]
    if parts:
        raise CheckpointError(
            f"the weights do not fit this network ({'; '.join(parts)}).",
            where=path,
            fix="set depth, width, shortcut_type, bias_downsample and norm of model.task.net as in "
            "the file (MedicalNet's resnet_18 and resnet_34: model.task.net.shortcut_type=A).",
        )
    backbone.load_state_dict(weights, strict=False)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError("there is no such file.", where=path, fix="check `pretrained`.")
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
