"""Figures 3 and 4 of the CSAC-Net paper for a run: its typical and misdiagnosed test scans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from covidlit.checkpoints.file import load_checkpoint, read_record
from covidlit.explain.case_pictures import CasePictures
from covidlit.explain.explain import default_layer
from covidlit.explain.gallery import colour_sentence
from covidlit.explain.layers import layer_of, layers_of
from covidlit.explain.methods import METHODS, check_method
from covidlit.explain.run_sources import checkpoint_of, datamodule_of, find_scale
from covidlit.explain.scale import store_scale, stored_scale
from covidlit.explain.write import load_classification
from covidlit.papers.csacnet import Galleries

if TYPE_CHECKING:
    import pandas as pd


PAPER_KIND = (
    "The paper's own kind, the features of the last max pooling, is drawn with --method activation "
    "--layer last_pool."
)


def paper_galleries(
    run_dir: str | Path,
    cases: pd.DataFrame,
    *,
    layer: str | None = None,
    method: str | None = None,
) -> Galleries:
    """Draw the scans that `Paper.cases` chose, with the heatmaps of the run's network.

    Args:
        run_dir: folder of a network's training run, whose cohort is still where it was.
        cases: `figure` ("typical" or "misdiagnosed"), `scan_id`, `score`, `caption`. Scans of other
            runs are left out, and named in the note.
        layer: of the network; None: the first that it declares.
        method: one of `covidlit.explain.METHODS`; None: the first.

    Raises:
        ExplainError: an unknown layer or method.
        CovidlitError: the folder holds no network, the cohort has changed, or a scan cannot be
            read.
    """
    checkpoint = checkpoint_of(run_dir)
    record = read_record(load_checkpoint(checkpoint), checkpoint)
    task = load_classification(checkpoint)
    datamodule = datamodule_of(run_dir, record.split_hash)
    layer, method = layer or default_layer(task.net), check_method(method or METHODS[0])
    layer_of(task.net, layer)
    scale = stored_scale(record, layer, method)
    if scale is None:
        scale = find_scale(task, datamodule, layer, method)
        store_scale(checkpoint, layer, method, scale)
    pictures = CasePictures(task, datamodule, layer, method, scale)
    drawn: dict[str, list[tuple[str, bytes]]] = {"typical": [], "misdiagnosed": []}
    others: list[str] = []
    for row in cases.to_dict("records"):
        if not pictures.has(scan_id := str(row["scan_id"])):
            others.append(scan_id)
            continue
        png, largest, _ = pictures.picture(scan_id, row["score"])
        caption = f"{row['caption'].rstrip('.')}. Largest heat {largest:.3g}."
        drawn[row["figure"]].append((caption, png))
    notes = [colour_sentence(layer, method, scale), f"The network is that of {Path(run_dir).name}."]
    if (method, layer) != ("activation", "last_pool") and "last_pool" in layers_of(task.net):
        notes.append(PAPER_KIND)
    if others:
        named = ", ".join(others)
        notes.append(f"Not drawn, because they are not test scans of this run: {named}.")
    return Galleries(**drawn, note=" ".join(notes))
