"""The tables of a segmentation: `slices`, `detections` and `objects`.

Masks stand in them as COCO's run lengths, so that every statistic can be made from them alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from covidlit.errors import PredictionsError
from covidlit.tables import read_table, validate, write_table
from covidlit.tasks.segmentation_rows import BOX, DETECTION, OBJECT, SLICE

SLICES, DETECTIONS, OBJECTS = "slices", "detections", "objects"
TRUTH, PREDICTED = "truth_", "predicted_"
"""Before the name of a class: the columns of run lengths of the map of classes."""

RUN = ("run_id", "model", "seed", "fold")
KEY = ("part", "patient_id", "scan_id", "slice_id")
_OF_SLICE = (
    "slice_index", "centre", "target", "status", "reason", "synthetic", "rows", "columns",
    "row_mm", "column_mm", "voxel_ml", "annotated",
)  # fmt: skip

Tables = dict[str, pd.DataFrame]


def split_rows(found: pd.DataFrame, rows: pd.DataFrame, **run: object) -> Tables:
    """The three tables of a run.

    Args:
        found: of `LesionSegmentation.table_of`, of all parts.
        rows: of the data's table, of these parts; slices that cannot be used stay in it.
        run: `run_id`, `model`, `seed` and `fold`.
    """
    rows = rows.assign(slice_id=rows["slice_id"].astype("string"))
    if "scan_id" not in rows:
        rows["scan_id"] = rows["slice_id"]
    known = rows[[name for name in (*KEY, *_OF_SLICE) if name in rows]]
    tables = {}
    for name, kind in ((SLICES, SLICE), (DETECTIONS, DETECTION), (OBJECTS, OBJECT)):
        own = found[found["kind"] == kind].drop(columns="kind")
        # Columns of the other kinds are empty here.
        kept = [c for c in own if own[c].notna().any() or (name == SLICES and c.startswith(TRUTH))]
        own = own[kept].assign(slice_id=own["slice_id"].astype("string"))
        columns = [c for c in own if c not in known or c == "slice_id"]
        if name == SLICES:
            size = [c for c in ("rows", "columns") if c in known and c in own]
            joined = known.drop(columns=size).merge(
                own[[*columns, *size]], on="slice_id", how="left", validate="1:1"
            )
        else:
            joined = known[[c for c in KEY if c in known]].merge(
                own[columns], on="slice_id", how="inner", validate="1:m"
            )
        wanted = [] if name == SLICES else ["class_name", *BOX, "pixels", "mask"]
        wanted += ["score"] if name == DETECTIONS else []
        for column in wanted:
            if column not in joined:  # not one object in all slices
                joined[column] = pd.Series(dtype="string" if column in _TEXTS else "float64")
        if name == OBJECTS:
            joined["ignored"] = is_ignored(joined)
        tables[name] = joined.assign(**run)[[*RUN, *joined.columns]]
    return tables


_TEXTS = ("class_name", "mask")


def write_segmentation_tables(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write `slices.parquet`, `detections.parquet` and `objects.parquet`, each held to its schema.

    Raises:
        PredictionsError: a table breaks its schema.
    """
    checked = {name: _validated(tables[name], name, name) for name in _schemas()}
    for name, table in checked.items():
        write_table(table, folder / f"{name}.parquet")


def read_segmentation_tables(folder: Path) -> Tables:
    """The three tables that `write_segmentation_tables` has left in a folder.

    Raises:
        PredictionsError: one is missing or breaks its schema.
    """
    paths = {name: folder / f"{name}.parquet" for name in _schemas()}
    return {
        name: _validated(read_table(path, PredictionsError), name, path)
        for name, path in paths.items()
    }


def classes_of(slices: pd.DataFrame) -> list[str]:
    """The names of the classes of a table of slices, in the order of the labels."""
    return [c.removeprefix(PREDICTED) for c in slices if str(c).startswith(PREDICTED)]


def is_ignored(objects: pd.DataFrame) -> NDArray[np.bool_]:
    """(objects,) regions that are no object: crowds, and pieces below the smallest size.

    Tables of earlier versions have none of them.
    """
    if "ignored" not in objects:
        return np.zeros(len(objects), dtype=bool)
    return objects["ignored"].eq(True).to_numpy(dtype=bool)


def used(slices: pd.DataFrame) -> pd.DataFrame:
    """The slices that were looked at: with a size and a map of classes."""
    return slices[slices["rows"].notna()].reset_index(drop=True)


def _validated(table: pd.DataFrame, name: str, where: object) -> pd.DataFrame:
    allow_empty = name != SLICES
    return validate(table, _schemas()[name], where, PredictionsError, allow_empty=allow_empty)


def _schemas() -> dict[str, pa.DataFrameSchema]:
    run = {
        "run_id": pa.Column(str, coerce=True),
        "model": pa.Column(str, coerce=True),
        "seed": pa.Column("Int64", coerce=True),
        "fold": pa.Column("Int64", nullable=True, coerce=True),
        "part": pa.Column(str, pa.Check.isin(["train", "validation", "test"]), coerce=True),
        "patient_id": pa.Column(str, coerce=True),
        "scan_id": pa.Column(str, coerce=True),
        "slice_id": pa.Column(str, coerce=True),
    }
    box = {name: pa.Column(float, coerce=True) for name in BOX}
    item = {
        **run,
        "class_name": pa.Column(str, coerce=True),
        **box,
        "pixels": pa.Column("Int64", pa.Check.ge(0), coerce=True),
        "mask": pa.Column(str, coerce=True),
    }
    score = pa.Column(float, pa.Check.in_range(0, 1), coerce=True)
    size = pa.Column("Int64", pa.Check.gt(0), nullable=True, coerce=True)
    slices = {
        **run,
        "status": pa.Column(str, coerce=True),
        "rows": size,
        "columns": size,
        "row_mm": pa.Column(float, pa.Check.gt(0), nullable=True, coerce=True, required=False),
        "column_mm": pa.Column(float, pa.Check.gt(0), nullable=True, coerce=True, required=False),
        "voxel_ml": pa.Column(float, pa.Check.gt(0), nullable=True, coerce=True, required=False),
        "annotated": pa.Column("string", nullable=True, coerce=True),
    }
    unique = ["run_id", "fold", "part", "slice_id"]
    return {
        SLICES: pa.DataFrameSchema(slices, unique=unique),
        DETECTIONS: pa.DataFrameSchema({**item, "score": score}),
        OBJECTS: pa.DataFrameSchema({**item, "ignored": pa.Column(bool, required=False)}),
    }
