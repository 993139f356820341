"""Figures 3 and 4 of the CSAC-Net paper for a run: its typical and misdiagnosed test scans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from covidlit.checkpoints import load_checkpoint, read_record
from covidlit.evaluation.paper import Galleries
from covidlit.explain.camera import Camera
from covidlit.explain.explain import METHODS, default_layer
from covidlit.explain.gallery import colour_sentence
from covidlit.explain.run_sources import checkpoint_of, datamodule_of, find_scale
from covidlit.explain.scale import store_scale, stored_scale
from covidlit.explain.write import load_classification

if TYPE_CHECKING:
    import pandas as pd


def paper_galleries(run_dir: str | Path, cases: pd.DataFrame) -> Galleries:
    """Draw the scans that `Paper.cases` chose, with the heatmaps of the run's network.

    Args:
        run_dir: folder of a network's training run, whose cohort is still where it was.
        cases: `figure` ("typical" or "misdiagnosed"), `scan_id`, `score`, `caption`.

    Raises:
        CovidlitError: the folder holds no network, the cohort has changed, or a scan cannot be
            read.
    """
    checkpoint = checkpoint_of(run_dir)
    record = read_record(load_checkpoint(checkpoint), checkpoint)
    task = load_classification(checkpoint)
    datamodule = datamodule_of(run_dir, record.split_hash)
    layer, method = default_layer(task.net), METHODS[0]
    scale = stored_scale(record, layer, method)
    if scale is None:
        scale = find_scale(task, datamodule, layer, method)
        store_scale(checkpoint, layer, method, scale)
    camera = Camera(task, datamodule, layer, method, scale)
    drawn: dict[str, list[tuple[str, bytes]]] = {"typical": [], "misdiagnosed": []}
    for row in cases.to_dict("records"):
        png, largest = camera.picture(str(row["scan_id"]), row["score"])
        caption = f"{row['caption'].rstrip('.')}. Largest heat {largest:.3g}."
        drawn[row["figure"]].append((caption, png))
    return Galleries(**drawn, note=colour_sentence(layer, method, scale))
