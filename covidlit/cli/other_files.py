"""What a folder holds besides DICOM, and which command of covidlit takes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from covidlit.cohort.scan_sources import TABLE_SUFFIXES
from covidlit.files import printable
from covidlit.scans.folder import walk
from covidlit.scans.images import image_files, is_image
from covidlit.tables import csv_dialect


def hints_on_images(path: str | Path, usable: Sequence[Path] = ()) -> list[str]:
    """One sentence on the image files at a path, such as NIfTI; none where there are none.

    Args:
        path: a folder, searched to any depth, or one file.
        usable: of its images those that were read and can be used, to name one of them.
    """
    path = Path(path)
    files = list(image_files(path)) if path.is_dir() else [path] * is_image(path)
    if not files:
        return []
    files.sort(key=lambda file: file not in usable)
    return [
        f"{_named(files, path, 'image file')} (NIfTI and the like): of CTs in Hounsfield units, "
        f"`covidlit predict CHECKPOINT {path}` gives the scores; to train on them, name each in "
        "the column path of a table of labels, then `covidlit manifest DIR --labels labels.csv "
        "--images`."
    ]


def hints_on_tables(path: str | Path) -> list[str]:
    """One sentence for each kind of table at a path; none where there are none.

    Args:
        path: a folder, searched to any depth, or one file.
    """
    path = Path(path)
    files = [file for file in _files(path) if file.suffix.lower() in TABLE_SUFFIXES]
    kinds: dict[str, list[Path]] = {}
    for file in files:
        kinds.setdefault(_taken_by(_columns(file)), []).append(file)
    return [f"{_named(tables, path, 'table')}: {taken}." for taken, tables in kinds.items()]


def _taken_by(columns: Sequence[str]) -> str:
    """What covidlit does with a table that has these columns."""
    from covidlit.cohort.labels_table import KEYS

    has = set(columns)
    if {"run_id", "score", "target"} <= has:
        return "scores of a run, for `covidlit evaluate`"
    if {"scan_id", "path", "class_name"} <= has:
        return (
            "a manifest, for `covidlit train data=manifest data.source.path=...` or "
            "`covidlit predict CHECKPOINT ...`"
        )
    if has & set(KEYS):
        return "maybe labels, for `covidlit manifest DIR --labels ...`"
    return "of no use to covidlit"


def _columns(file: Path) -> list[str]:
    """The columns of a table, none where it cannot be read: its owner knows what it is."""
    import pandas as pd

    try:
        if file.suffix.lower() == ".csv":
            return list(map(str, pd.read_csv(file, nrows=0, **csv_dialect(file)).columns))
        import pyarrow.parquet

        return list(pyarrow.parquet.read_schema(file).names)
    except (ValueError, OSError):
        return []


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    if path.is_dir():
        yield from walk(path).files


def _named(files: Sequence[Path], root: Path, what: str) -> str:
    """How many files, and the first of them: "3 image files, such as ward/a.nii.gz"."""
    first = files[0].name if files[0] == root else files[0].relative_to(root).as_posix()
    such = "," if len(files) == 1 else "s, such as"
    return f"{len(files)} {what}{such} {printable(first)}"
