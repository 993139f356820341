"""Labelled slices of pictures with one mask picture per class."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from covidlit.cohort.coco import Coco, CocoAnnotation, CocoImage, rle
from covidlit.cohort.slice_table import SLICES, slice_id_of, write_labelled_slices
from covidlit.counted import counted
from covidlit.datamodules.slices.label_volumes import CLASSES, OUTSIDE_LUNG
from covidlit.datamodules.slices.pictures import picture_size, read_mask
from covidlit.datamodules.slices.targets import connected_instances
from covidlit.errors import ConfigError, ManifestError, did_you_mean
from covidlit.files import fingerprint, path_named
from covidlit.names import check_name, tidy_name
from covidlit.preprocess.index import file_stamp
from covidlit.progress import progress_bar
from covidlit.tables import read_table, row_numbers

log = logging.getLogger(__name__)

_IMAGES = "images"

FORMAT = 1
"""Raised when the same pictures give other annotations."""


def mask_images(
    root: str,
    masks: Mapping[str, str],
    table: str = "slices.csv",
    images: str | None = None,
    file_column: str = "file",
    patient_column: str = "patient_id",
    folder: str = "data/slices",
    out: str | None = None,
    classes: Sequence[str] | None = None,
) -> Path:
    """The slices of a folder of pictures, written once as contract 11.

    Args:
        root: the folder; the other paths start from it.
        masks: class name -> folder of its masks, under the pictures' names. What is not 0 is set;
            later classes lie over earlier ones, and all over `lung`.
        table: of the pictures: the two columns below; and where there are any `scan_id`,
            `slice_index`, `row_spacing_mm`, `column_spacing_mm`, the grading, and further ones. A
            `path` is that of the picture, or with `source` scan of the scan whose slice the masks
            are of; relative ones start from the table's folder.
        images: folder of the pictures; None: where the table has no `path`, "images".
        file_column, patient_column: of the table.
        folder: where the slices are kept; those of other arguments stand side by side in it.
        out: the folder of these slices itself, written anew.
        classes: names of classes that are meant as they stand, though they are almost those of
            contract 7.

    Returns:
        The path of the table of slices.

    Raises:
        ConfigError: no class, or a class that is no name, or almost one of contract 7.
        ManifestError: the table is wrong, or a picture or mask that it needs is not there.
        CovidlitError: a mask is of another size than its picture, or is no mask.
    """
    if not masks:
        raise ConfigError(
            "there is no class.", where="data.source.masks", fix="give {lung: lung, lesion: ...}."
        )
    for name in masks:
        check_name(str(name), "data.source.masks", ConfigError)
    check_classes(map(str, masks), classes or (), "data.source.masks", "data.source.classes")
    base = Path(root)
    rows = read_table(base / table, ManifestError)
    for column, what in ((file_column, "file_column"), (patient_column, "patient_column")):
        if column not in rows:
            raise ManifestError(
                f"the table has no column {column!r} (it has: {', '.join(map(str, rows))}).",
                where=base / table,
                fix=f"name it: data.source.{what}=...",
            )
        if rows[column].isna().any():
            raise ManifestError(
                f"row {row_numbers(rows[rows[column].isna()])[0]}, column {column!r} is empty.",
                where=base / table,
                fix="fill it: slices are split by patient.",
            )
    rows[file_column] = rows[file_column].astype(str)
    rows = _with_places(rows, base, table, images, file_column)
    paths = _all_there(rows, base, images or _IMAGES, masks, file_column)
    stamps = [file_stamp(path) for own in paths for path in own if path.is_file()]
    key = fingerprint([FORMAT, stamps, dict(masks), list(masks), as_texts(rows)])
    kept = (
        Path(folder) / f"{tidy_name(base.resolve().name)}-{key[:8]}" if out is None else Path(out)
    )
    if out is not None or not (kept / SLICES).is_file():
        slices = slice_rows(rows, rows[patient_column].astype(str), base / table)
        slices["path"] = [str(own[0].resolve()) for own in paths]
        named = [name for name in ("file_name", file_column) if name in slices]
        slices = slices.drop(columns=named).assign(original_id=rows[file_column])
        _write(slices, paths, tuple(map(str, masks)), kept)
    return kept / SLICES


def as_texts(table: pd.DataFrame) -> dict[str, list[str]]:
    """The columns of a table as texts, empty where a cell is."""
    own = table.astype(object).where(table.notna(), "")
    return {str(name): [str(cell) for cell in own[name]] for name in own}


def check_classes(names: Iterable[str], meant: Sequence[str], where: str, add: str) -> None:
    """Refuse names that are almost those of contract 7 and not said to be meant.

    Args:
        names: of classes.
        meant: names that stand as they are.
        where: the setting of the names.
        add: the setting of those that are meant.

    Raises:
        ConfigError: names the class, and what it may be.
    """
    for name in names:
        near = None if name in CLASSES or name in meant else did_you_mean(name.lower(), CLASSES)
        if near is not None:
            raise ConfigError(
                f"{name!r} is almost one of our classes.",
                where=where,
                fix=f"{near} Where it is a class of its own, add it to {add}.",
            )


def paths_from(places: pd.Series, table: Path) -> pd.Series:
    """Paths of a table, relative ones from its folder; empty where they are."""
    folder = table.resolve().parent
    return places.map(
        lambda place: os.path.normpath(folder / str(place)), na_action="ignore"
    ).astype("string")


def _with_places(
    rows: pd.DataFrame, base: Path, table: str, images: str | None, file_column: str
) -> pd.DataFrame:
    """The rows with `path` and `source`: of the table, or those of pictures in the folder."""
    own = paths_from(rows["path"], base / table) if images is None and "path" in rows else None
    folder = (base / (images or _IMAGES)).resolve()
    pictures = [str(folder / name) for name in rows[file_column]]
    if own is None:
        kept = rows.drop(columns=[c for c in ("labels_affine", "series_uid") if c in rows])
        return kept.assign(path=pictures, source="image")
    source = rows["source"].fillna("image") if "source" in rows else "image"
    return rows.assign(
        path=own.fillna(pd.Series(pictures, rows.index, "string")),
        source=pd.Series(source, rows.index).where(own.notna(), "image"),
    )


def slice_rows(rows: pd.DataFrame, patients: pd.Series, where: object) -> pd.DataFrame:
    """A table of pictures as one of slices, its scan_id and slice_index made where not given.

    A patient's pictures without a scan are of one scan, in the table's order.

    Raises:
        ManifestError: a slice_index that is no whole number.
    """
    table = rows.assign(patient_id=patients)
    if "scan_id" not in table:
        table["scan_id"] = [tidy_name(patient) for patient in patients]
    if "slice_index" not in table:
        table["slice_index"] = table.groupby("scan_id").cumcount()
    index = pd.to_numeric(table["slice_index"], errors="coerce")
    wrong = index.isna() | (index % 1 != 0) | (index < 0)
    if wrong.any():
        raise ManifestError(
            f"row {row_numbers(table[wrong])[0]}, column 'slice_index': must be a whole number "
            "from 0 on.",
            where=where,
            fix="number the slices of a scan from the feet on, or leave the column out.",
        )
    table["slice_index"] = index.astype(int)
    pairs = zip(table["scan_id"].astype(str), table["slice_index"], strict=True)
    table["slice_id"] = [slice_id_of(scan, number) for scan, number in pairs]
    return table.assign(source=table.get("source", "image"))


def _all_there(
    rows: pd.DataFrame, base: Path, images: str, masks: Mapping[str, str], file_column: str
) -> list[list[Path]]:
    """The picture, or the scan, and the masks of each row."""
    files = rows[file_column].to_list()
    paths = [
        [path_named(place), *(base / where / name for where in masks.values())]
        for place, name in zip(rows["path"], files, strict=True)
    ]
    scans = (rows["source"] == "scan").to_list()
    missing = [
        path for own, scan in zip(paths, scans, strict=True) for k, path in enumerate(own)
        if not (path.exists() if scan and k == 0 else path.is_file())
    ]  # fmt: skip
    if missing:
        raise ManifestError(
            f"{len(missing)} of {sum(map(len, paths))} pictures are not there, such as "
            f"{missing[0]}.",
            where=base,
            fix="a slice without an object has a mask of zeros; take rows without picture out of "
            "the table.",
        )
    listed, folder = {path.resolve() for own in paths for path in own[:1]}, base / images
    if folder.is_dir() and any(path.parent == folder.resolve() for path in listed):
        others = sum(path.is_file() and path.resolve() not in listed for path in folder.iterdir())
        if others:
            unused = counted(others, "picture")
            log.warning("%s in %s not used, for want of a row in the table.", unused, folder)
    return paths


def _write(slices: pd.DataFrame, paths: list[list[Path]], classes: tuple[str, ...],
           out: Path) -> None:  # fmt: skip
    found: list[CocoImage] = []
    annotations: list[CocoAnnotation] = []
    order = sorted(classes, key=lambda name: name != "lung")  # lesions over lung
    labels = {name: k for k, name in enumerate(order, 1)}
    lung = labels.get("lung")
    in_lung = [k for name, k in labels.items() if name not in ("lung", *OUTSIDE_LUNG)]
    with progress_bar("Reading masks", len(paths)) as bar:
        rows = zip(slices["slice_id"], slices["source"], paths, strict=True)
        for number, (name, source, own) in enumerate(rows, 1):
            shape = picture_size(own[0] if source == "image" else own[1])
            merged = np.zeros(shape, np.uint8)
            masks: dict[str, Any] = dict(zip(classes, own[1:], strict=True))
            for label in order:
                merged[read_mask(masks[label], shape)] = labels[label]
            objects = connected_instances(merged, in_lung if lung else (), lung)
            found.append(CocoImage(number, f"{name}.png", *shape))
            for mask, label_of in zip(objects.masks, objects.labels.tolist(), strict=True):
                annotations.append(
                    CocoAnnotation(
                        len(annotations) + 1, number, order[label_of - 1], rle.encode(mask)
                    )
                )
            bar.advance()
    slices = slices.assign(rows=[i.rows for i in found], columns=[i.columns for i in found])
    write_labelled_slices(slices, Coco(tuple(found), tuple(annotations), tuple(order)), out)
