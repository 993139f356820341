"""The labelled slices that a run uses: read, chosen, and counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from covidlit.cohort.coco import Coco
from covidlit.cohort.flow import Flow
from covidlit.cohort.slice_criteria import SliceChoice, SliceCriteria
from covidlit.cohort.slice_table import read_labelled_slices
from covidlit.datamodules.slices.label_volumes import CLASSES
from covidlit.datamodules.slices.objects import SliceObjects
from covidlit.errors import ConfigError


class LabelledSlices(NamedTuple):
    """Slices and their objects.

    Args:
        table: contract 11 of the slices that are used, with `target` (1: with a lesion), `status`,
            `reason`, `row` (in `objects`), and the numbers `n_objects`, `n_lesions`, `n_too_small`
            and `n_crowds`.
        objects: of all slices of the file.
        classes: names in the order of the labels.
        flow: how many slices each step of the inclusion left.
    """

    table: pd.DataFrame
    objects: SliceObjects
    classes: tuple[str, ...]
    flow: Flow

    @property
    def grey(self) -> bool:
        """Whether the slices are pictures without HU."""
        return bool((self.table["source"] == "image").any())


def labelled_slices(
    path: Path,
    classes: Sequence[str] | None,
    min_area_mm2: float,
    inclusion: SliceCriteria | None,
    choice: SliceChoice,
) -> LabelledSlices:
    """Read the slices of a table, and choose of them.

    Raises:
        ManifestError: the table is wrong.
        CocoError: the annotations are wrong.
        ConfigError: no slice is left, or some are of scans and others are pictures.
    """
    table, coco = read_labelled_slices(path)
    names = _classes_of(coco) if classes is None else tuple(classes)
    objects = SliceObjects(table["slice_id"].to_list(), coco, names)
    pixel_mm2 = table["row_spacing_mm"] * table["column_spacing_mm"]
    counts = objects.count(pixel_mm2.fillna(1.0).to_numpy(), min_area_mm2)
    table = table.assign(**{name: counts[name].to_numpy() for name in counts})
    table["row"] = np.arange(len(table))
    table["target"] = (table["n_lesions"] > 0).astype("Int64")
    table["status"] = pd.Series("ok", table.index, "string")
    table["reason"] = pd.Series(pd.NA, table.index, "string")
    flow = Flow.start(table, "labelled slices")
    if inclusion is not None:
        table, flow = inclusion.apply(table, flow)
    table, flow = choice.apply(table, flow)
    if table.empty:
        raise ConfigError(
            f"no slice is left ({flow.summary()}).",
            where="inclusion",
            fix="choose criteria that fit the slices.",
        )
    if table["source"].nunique() > 1:
        raise ConfigError(
            "some slices are of scans in HU, others are pictures without.",
            where=path,
            fix="train on one kind at a time.",
        )
    return LabelledSlices(table, objects, names, flow)


def _classes_of(coco: Coco) -> tuple[str, ...]:
    """Those that were annotated, in the order of contract 7 where they are of these.

    A class that nobody looked for would be called at random: nothing is learnt about it.
    """
    if {*coco.classes} <= {*CLASSES}:
        return tuple(name for name in CLASSES if name in coco.classes)
    return coco.classes
