"""One call from a prepared volume to its heatmap and score."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from covidlit.cohort.class_names import class_of_interest
from covidlit.explain.activation import activation_map
from covidlit.explain.gradcam import grad_cam, layer_cam
from covidlit.explain.guided import guided_layer_cam
from covidlit.explain.guided_map import LUNG_HU
from covidlit.explain.heatmap import Heatmap
from covidlit.explain.layers import layer_of, layers_of
from covidlit.explain.methods import METHODS, check_method
from covidlit.models.explainable import ExplainableLayer
from covidlit.models.voxel_grid import Axes, VoxelGrid

if TYPE_CHECKING:
    from covidlit.tasks import VolumeClassification
    from covidlit.tasks.classifier import Classifier


def explain_image(
    task: Classifier | VolumeClassification,
    image: Tensor,
    layer: str | None = None,
    method: str | None = None,
    affine: NDArray[np.float64] | None = None,
) -> Heatmap:
    """The heatmap of one volume and its score, from one pass through the network.

    Args:
        task: a trained classification, as `load_task` or `load_for_prediction` gives it.
        image: (1, 1, z, y, x), prepared and windowed as in its training.
        layer: of `layers_of(task.net)`; None: `default_layer`.
        method: one of `METHODS`; None: the first.
        affine: (4, 4), index (z, y, x, 1) of the image to LPS mm; None: the spacing of
            the task's record (1 mm without one), the first voxel at 0.

    Returns:
        The heat on the class of interest, never normalised, with the scan's score.

    Raises:
        ExplainError: an unknown layer or method, or a network without layers for heatmaps.
    """
    name = layer or default_layer(task.net)
    how = check_method(method or METHODS[0])
    if affine is None:
        recorded = (task.record or {}).get("preprocess", {}).get("geometry", {})
        affine = np.diag([*recorded.get("spacing", (1.0, 1.0, 1.0)), 1.0])[[2, 1, 0, 3]]
    if task.hparams.get("channels_last"):
        image = image.contiguous(memory_format=torch.channels_last_3d)
    logits: list[Tensor] = []
    net = task.net
    hook = net.register_forward_hook(lambda module, args, output: logits.append(output.detach()))
    try:
        spacing = np.linalg.norm(affine[:3, :3], axis=0).tolist()
        values, grid = map_of(
            net, image, layer_of(net, name), how, output_of(task), lung=lung_value(task),
            spacing=spacing,
        )  # fmt: skip
    finally:
        hook.remove()
    scores = task.scores(logits[0])[0]
    score = scores if scores.ndim == 0 else scores[output_of(task)]
    z, y, x = image.shape[2:]
    return Heatmap(values, grid, (z, y, x), affine, name, how, float(score))


def default_layer(net: nn.Module) -> str:
    """The layer that a network declares first.

    Raises:
        ExplainError: it declares none.
    """
    layers = layers_of(net)
    return next(iter(layers)) if layers else str(layer_of(net, ""))


def map_of(
    net: nn.Module,
    image: Tensor,
    layer: ExplainableLayer,
    method: str,
    output: int = 0,
    *,
    lung: float = 0.0,
    spacing: Axes = (1.0, 1.0, 1.0),
) -> tuple[NDArray[np.float32], VoxelGrid]:
    """The map of a layer by one of `METHODS`, and where its voxels lie in the image.

    Args:
        lung, spacing: see `guided_layer_cam`; the other methods do not need them.
    """
    if method == "guided":
        values = guided_layer_cam(net, image, layer, output, lung=lung, spacing=spacing)
        return values, VoxelGrid()
    if method == "activation":
        return activation_map(net, image, layer), layer.grid
    gradient: Callable[..., NDArray[np.float32]] = grad_cam if method == "gradcam" else layer_cam
    return gradient(net, image, layer, output), layer.grid


def lung_value(task: Classifier | VolumeClassification) -> float:
    """Healthy lung in the network's input, by the window of the task's record; 0 without one."""
    window = (task.record or {}).get("preprocess", {}).get("window")
    if not window:
        return 0.0
    low, high = window
    return float(np.clip((LUNG_HU - low) / (high - low), 0, 1))


def output_of(task: Classifier | VolumeClassification) -> int:
    """Index of the logit that heat is computed for: that of the class of interest."""
    classes = list((task.record.get("classes") or []) if task.record else [])
    if task.hparams["n_classes"] == 2:
        return 0
    names = classes or [str(index) for index in range(task.hparams["n_classes"])]
    return names.index(class_of_interest(names))
