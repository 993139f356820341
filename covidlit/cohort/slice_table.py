"""Contract 11, labelled slices: a table with one row per slice, beside the COCO JSON of its masks.

`slices.parquet` says which slice of which scan and patient a row is, where its image lies and how
well it was labelled; `annotations.json` in the same folder holds the masks, each image of it named
`<slice_id>.png`. A slice without an object is a row without annotations.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from covidlit.cohort.coco import Coco, read_coco, write_coco
from covidlit.cohort.columns import TEXT, column_of, file_name, number, one_of, text, whole_number
from covidlit.errors import ManifestError
from covidlit.files import printable
from covidlit.names import MAX_LENGTH
from covidlit.tables import read_table, row_numbers, validate, write_table

SLICES, ANNOTATIONS = "slices.parquet", "annotations.json"
"""The two files of a folder of labelled slices."""

_FIX = "give it such a name, and keep the other one in a column original_id"
_POSITIVE = pa.Check.gt(0, error="must be more than 0 mm")

SLICE_SCHEMA = pa.DataFrameSchema(
    {
        "slice_id": file_name(required=True, nullable=False, fix=_FIX),
        "patient_id": text(required=True, nullable=False),
        "scan_id": file_name(required=True, nullable=False, fix=_FIX),
        "slice_index": whole_number(0, required=True, nullable=False),
        "path": text(required=True, nullable=False),  # of the image, or of the scan
        "source": one_of("scan", "image", required=True, nullable=False),
        "rows": whole_number(1, required=True, nullable=False),
        "columns": whole_number(1, required=True, nullable=False),
        "row_spacing_mm": number(_POSITIVE),
        "column_spacing_mm": number(_POSITIVE),
        "labels_affine": text(),  # JSON (4, 4): where the labels lie, index (z, y, x) to LPS mm
        "series_uid": text(),
        "centre": text(),
        "class_name": text(),
        "quality_grade": text(),
        "grader_1": text(),
        "grader_2": text(),
        "label_status": text(),
        "split": one_of("train", "validation", "test"),
    },
    unique=["slice_id"],
    unique_column_names=True,
    strict=False,
)
"""Contract 11. Further columns are allowed, such as those of the scan's row in a manifest."""


def slice_id_of(scan_id: str, slice_index: int) -> str:
    """The name of a slice: `<scan_id>.<slice_index>`, four digits at least.

    Raises:
        ManifestError: a scan_id so long that the name is too.
    """
    name = f"{scan_id}.{slice_index:04d}"
    if len(name) > MAX_LENGTH:
        raise ManifestError(
            f"the scan_id {scan_id!r} leaves no room for the number of a slice.",
            where="scan_id",
            fix=f"shorten it to {MAX_LENGTH - 8} characters.",
        )
    return name


def validate_slices(table: pd.DataFrame, where: object = SLICES) -> pd.DataFrame:
    """Hold a table against contract 11 and return it with the contract's types.

    Raises:
        ManifestError: a column is missing, a value is wrong, a slice stands there twice or a scan
            is of two patients; names row, column, value and fix.
    """
    table = validate(table, SLICE_SCHEMA, where, ManifestError)
    # Always there, empty where not known.
    table["centre"] = column_of(table, "centre").astype(TEXT)
    for name in ("row_spacing_mm", "column_spacing_mm"):
        table[name] = column_of(table, name).astype("float64")
    twice = table.duplicated(["scan_id", "slice_index"], keep=False)
    if twice.any():
        rows = [row for row, also in zip(row_numbers(table), twice, strict=True) if also]
        raise ManifestError(
            f"rows {rows[:2]} are the same slice of the same scan.",
            where=where,
            fix="keep one of them.",
        )
    patients = table.groupby("scan_id")["patient_id"].nunique()
    if (patients > 1).any():
        raise ManifestError(
            f"the scan {patients.index[patients > 1][0]} is of several patients.",
            where=where,
            fix="give all slices of a scan the same patient_id.",
        )
    return table


def read_slices(path: str | Path) -> pd.DataFrame:
    """Read a table of slices; `path` in it is absolute, relative ones start from its folder.

    Raises:
        ManifestError: missing, unreadable, or see `validate_slices`.
    """
    path = Path(path)
    table = validate_slices(read_table(path, ManifestError), where=path)
    folder = path.resolve().parent
    places = [os.path.normpath(folder / place) for place in table["path"]]
    return table.assign(path=pd.Series(places, table.index, TEXT))


def write_labelled_slices(table: pd.DataFrame, coco: Coco, folder: str | Path) -> Path:
    """Write slices and their annotations, the table last; returns its path.

    Args:
        table: contract 11; absolute paths below or beside the folder are written relative to it.
        coco: its images named `<slice_id>.png`, one for each row.
        folder: made if needed.

    Raises:
        ManifestError: see `validate_slices`, or the two are not of the same slices.
    """
    folder = Path(folder)
    table = validate_slices(table, where=folder / SLICES)
    check_same_slices(table, coco, folder)
    table["path"] = [place_from(Path(place), folder) for place in table["path"]]
    write_coco(coco, folder / ANNOTATIONS)
    return write_table(table, folder / SLICES)


def place_from(path: Path, folder: Path) -> str:
    """A path as a table in a folder has it: relative to it where it lies below or beside it."""
    root = folder.resolve()
    near = path.parts[:2] == root.parts[:2]
    return printable(os.path.relpath(path, root)) if near else str(path)


def read_labelled_slices(path: str | Path) -> tuple[pd.DataFrame, Coco]:
    """The table of slices at `path`, and the annotations beside it.

    Raises:
        ManifestError: the table is wrong, or the two are not of the same slices.
        CocoError: the annotations are wrong.
    """
    table = read_slices(path)
    coco = read_coco(Path(path).parent / ANNOTATIONS)
    check_same_slices(table, coco, Path(path).parent)
    return table, coco


def check_same_slices(table: pd.DataFrame, coco: Coco, folder: Path) -> None:
    """Refuse annotations whose images are not the slices of a table, in number, name or size.

    Raises:
        ManifestError: names the first slice that is in one of them alone.
    """
    sizes = {image.file_name: (image.rows, image.columns) for image in coco.images}
    rows = zip(table["slice_id"], table["rows"], table["columns"], strict=True)
    own = {f"{name}.png": (int(r), int(c)) for name, r, c in rows}
    if sizes == own:
        return
    first = min(name for name in {*sizes, *own} if sizes.get(name) != own.get(name))
    raise ManifestError(
        f"{SLICES} and {ANNOTATIONS} are not of the same slices: {first} is of "
        f"{own.get(first, 'no size')} in one and {sizes.get(first, 'no size')} in the other.",
        where=folder,
        fix="make both again by the same command.",
    )
