"""The gallery of a training run's report: a few typical and misdiagnosed test scans."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from covidlit.deploy.score_text import point_text, score_texts
from covidlit.errors import CovidlitError, fault_reason
from covidlit.evaluation.predictions import accepted
from covidlit.explain.case_pictures import CasePictures
from covidlit.explain.explain import default_layer
from covidlit.explain.gallery import choose_cases, colour_sentence
from covidlit.explain.layers import layers_of
from covidlit.explain.lung_heat import lung_heat_sentence
from covidlit.explain.methods import METHODS
from covidlit.explain.run_sources import find_scale
from covidlit.explain.scale import store_scale
from covidlit.tasks import VolumeClassification

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.datamodules import VolumeDataModule
    from covidlit.tasks import BaseTask

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
    layer, method = default_layer(task.net), METHODS[0]
    scale = find_scale(task, datamodule, layer, method)
    if checkpoint is not None:
        store_scale(checkpoint, layer, method, scale)
    scored = accepted(table[table["part"] == "test"])
    chosen = choose_cases(scored.rename(columns={"threshold": "point"}), n)
    cases = CasePictures(task, datamodule, layer, method, scale)
    pictures: Gallery = []
    inside: list[float | None] = []
    for row in chosen.to_dict("records"):
        png, largest, share = cases.picture(str(row["scan_id"]), row["score"], row["point"])
        inside.append(share)
        caption = (
            f"{row['outcome'].capitalize()}: class {row['class_name']}, score "
            f"{score_texts([row['score']], row['point'])[0]}, threshold "
            f"{point_text(row['point'], [row['score']])}, largest heat {largest:.3g}."
        )
        pictures.append((caption, png))
    return pictures, f"{colour_sentence(layer, method, scale)} {lung_heat_sentence(inside)}"
