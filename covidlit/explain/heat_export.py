"""Export the heatmaps of a network: its score and heat in one graph, proved against PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from covidlit.checkpoints.record import RunRecord
from covidlit.datamodules.volume_dataset import apply_window
from covidlit.deploy.exported import HEAT_FILES, HeatExport
from covidlit.deploy.exported_engine import compile_openvino
from covidlit.deploy.file_hash import file_hash
from covidlit.deploy.precisions import TOLERANCE as OF_SCORES
from covidlit.explain.explain import default_layer, explain_image, output_of
from covidlit.explain.explain_error import ExplainError
from covidlit.explain.guided_map import guided_map
from covidlit.explain.heat_graph import write_heat_graph
from covidlit.explain.layers import layer_of, layers_of
from covidlit.explain.methods import METHODS
from covidlit.tasks.classifier import Classifier

COMPARED = 3
"""Volumes on which heat is compared."""

TOLERANCE = 0.05
"""Largest difference that is allowed, see `heat_difference`. In float32 rounding alone moves single
voxels of a trained network's heat by 0.02 of it."""


def export_heat(
    task: Classifier, record: RunRecord, volumes: NDArray[np.int16], folder: Path
) -> HeatExport | None:
    """Write `heat.xml` and `heat.bin`, the default heatmap at the network's default layer.

    Args:
        task: the trained classification; it stays as it is.
        record: of its run.
        volumes: prepared scans, int16 HU (n, z, y, x).
        folder: for the files.

    Returns:
        What `model.json` says of them; None, and no files, where the network has no layers for
        heatmaps, its gradient cannot be written as a graph, or the heat or the score beside it
        differs too much: PyTorch makes its heatmaps then.
    """
    if not layers_of(task.net):
        return None
    wanted, path = record.volume_input, folder / HEAT_FILES[0]
    layer = default_layer(task.net)
    try:
        write_heat_graph(task, layer, wanted.window, wanted.geometry.size, path)
    except ExplainError:
        return None
    grid, spacing = layer_of(task.net, layer).grid, wanted.geometry.spacing
    request = compile_openvino(path, torch.get_num_threads()).create_infer_request()
    affine, output = np.diag([*spacing, 1.0])[[2, 1, 0, 3]], output_of(task)
    differences, of_scores = [], []
    for hu in np.array(volumes[:COMPARED]):  # a file may hold them, read-only
        score, region, effect = request.infer([hu[None]]).values()
        image = apply_window(torch.from_numpy(hu)[None, None], wanted.window)
        plain = explain_image(task, image, layer, METHODS[0], affine)
        heat = guided_map(np.array(region), np.array(effect), grid, spacing)
        differences.append(heat_difference(heat, plain.values))
        assert plain.score is not None
        of_scores.append(
            abs(float(score[0] if score.ndim == 1 else score[0, output]) - plain.score)
        )
    difference = float(np.max(differences))  # NaN, if there is one
    if not (difference <= TOLERANCE and np.max(of_scores) <= OF_SCORES["f32"]):
        for name in HEAT_FILES:
            (folder / name).unlink()
        return None
    return HeatExport(
        files={name: file_hash(folder / name) for name in HEAT_FILES},  # type: ignore[misc]
        layer=layer,
        method="guided",
        step=grid.step,
        first=grid.first,
        output=output,
        difference=difference,
        n_scans=len(differences),
    )


def heat_difference(heat: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """The largest difference of the squares, as a part of the reference's largest square.

    Heat is the root of a product: where that is nearly nothing, the root makes much of rounding.
    """
    largest = max(float(reference.max()), 1e-30)
    return float(np.abs((heat / largest) ** 2 - (reference / largest) ** 2).max())
