"""The gallery of a training run's report: a few typical and misdiagnosed test scans."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from covidlit.errors import CovidlitError, fault_reason
from covidlit.evaluation.predictions import accepted
from covidlit.explain.explain import METHODS, default_layer, explain_image
from covidlit.explain.gallery import choose_cases, colour_sentence
from covidlit.explain.layers import layers_of
from covidlit.explain.overlay import hottest_slices, overlay_png
from covidlit.explain.run_sources import find_scale, positive_target, scans_of
from covidlit.explain.scale import store_scale
from covidlit.preprocess import prepare_scan

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.datamodules import VolumeDataModule
    from covidlit.tasks import BaseTask, VolumeClassification

log = logging.getLogger(__name__)
Gallery = list[tuple[str, bytes]]


def run_gallery(
    task: BaseTask,
    datamodule: VolumeDataModule,
    table: pd.DataFrame,
    checkpoint: Path | None = None,
    n: int = 2,
) -> tuple[Gallery, str]:
    """Heatmaps of test scans of each outcome, for a report.

    A report is never lost for its pictures: what cannot be shown is left out and logged.

    Args:
        task: the trained classification.
        datamodule: of the run.
        table: of an `Evaluation`: the test scans with `target`, `score` and `threshold`.
        checkpoint: gets the scale of the heatmaps, if it is given.
        n: scans of each outcome.

    Returns:
        Captions with PNG pictures, and what the colours mean; both empty for a network that
        declares no layers for heatmaps.
    """
    from covidlit.tasks import VolumeClassification

    if not isinstance(task, VolumeClassification) or not layers_of(task.net):
        return [], ""
    try:
        return _gallery(task, datamodule, table, checkpoint, n)
    except CovidlitError as error:
        log.warning("The report has no heatmaps: %s", error)
    except Exception as error:
        log.warning("The report has no heatmaps: %s", fault_reason(error))
    return [], ""


def _gallery(
    task: VolumeClassification,
    datamodule: VolumeDataModule,
    table: pd.DataFrame,
    checkpoint: Path | None,
    n: int,
) -> tuple[Gallery, str]:
    from covidlit.datamodules.volume_dataset import apply_window

    layer, method = default_layer(task.net), METHODS[0]
    scale = find_scale(task, datamodule, layer, method)
    if checkpoint is not None:
        store_scale(checkpoint, layer, method, scale)
    scored = accepted(table[table["part"] == "test"])
    chosen = choose_cases(scored.rename(columns={"threshold": "point"}), n)
    part = scans_of(datamodule, "test", positive_target(task))
    sources = {source.scan_id: source for source in part.sources}
    pictures: Gallery = []
    for row in chosen.to_dict("records"):
        read = sources[str(row["scan_id"])].read
        assert read is not None
        scan = read()
        prepared = prepare_scan(scan, datamodule.geometry)
        image = torch.from_numpy(prepared.array.astype(np.float32))[None, None]
        image = apply_window(image, datamodule.window).to(task.device)
        heatmap = explain_image(task, image, layer, method, prepared.affine)
        z, y, x = scan.hu.shape
        heat = heatmap.on((z, y, x), scan.affine)
        title = f"{str(row['scan_id'])[:16]}   score {row['score']:.3f}"
        slices = hottest_slices(heat, scan.spacing[0], 1)
        caption = (
            f"{row['outcome'].capitalize()}: class {row['class_name']}, score {row['score']:.3f}, "
            f"threshold {row['point']:.3f}, largest heat {heatmap.maximum:.3g}."
        )
        pictures.append((caption, overlay_png(scan, heat, scale, slices=slices, title=title)))
    return pictures, colour_sentence(layer, method, scale)
