"""Labelled slices of pictures with one mask picture per class."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from covidlit.cohort.coco import Coco, CocoAnnotation, CocoImage, rle
from covidlit.cohort.slice_table import SLICES, slice_id_of, write_labelled_slices
from covidlit.datamodules.slices.label_volumes import OUTSIDE_LUNG
from covidlit.datamodules.slices.pictures import picture_size, read_mask
from covidlit.datamodules.slices.targets import connected_instances
from covidlit.errors import ConfigError, ManifestError
from covidlit.files import fingerprint
from covidlit.names import check_name, tidy_name
from covidlit.preprocess.index import file_stamp
from covidlit.progress import progress_bar
from covidlit.tables import read_table, row_numbers

log = logging.getLogger(__name__)

FORMAT = 1
"""Raised when the same pictures give other annotations."""


def mask_images(
    root: str,
    masks: Mapping[str, str],
    table: str = "slices.csv",
    images: str = "images",
    file_column: str = "file",
    patient_column: str = "patient_id",
    folder: str = "data/slices",
    out: str | None = None,
) -> Path:
    """The slices of a folder of pictures, written once as contract 11.

    Args:
        root: the folder; the other paths start from it.
        masks: class name -> folder of its masks, under the pictures' names. What is not 0 is set;
            later classes lie over earlier ones, and all over `lung`.
        table: of the pictures: the two columns below; and where there are any `scan_id`,
            `slice_index`, `row_spacing_mm`, `column_spacing_mm`, the grading, and further ones.
        images: folder of the pictures.
        file_column, patient_column: of the table.
        folder: where the slices are kept; those of other arguments stand side by side in it.
        out: the folder of these slices itself, written anew.

    Returns:
        The path of the table of slices.

    Raises:
        ConfigError: no class, or a class that is no name.
        ManifestError: the table is wrong, or a picture or mask that it needs is not there.
        CovidlitError: a mask is of another size than its picture, or is no mask.
    """
    if not masks:
        raise ConfigError(
            "there is no class.", where="data.source.masks", fix="give {lung: lung, lesion: ...}."
        )
    for name in masks:
        check_name(str(name), "data.source.masks", ConfigError)
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
    paths = _all_there(rows[file_column].to_list(), base, images, masks)
    stamps = [file_stamp(path) for own in paths for path in own]
    key = fingerprint([FORMAT, stamps, dict(masks), list(masks), rows.astype(str).to_dict("list")])
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
    files: list[str], base: Path, images: str, masks: Mapping[str, str]
) -> list[list[Path]]:
    """The picture and the masks of each row."""
    paths = [[base / where / name for where in (images, *masks.values())] for name in files]
    missing = [path for own in paths for path in own if not path.is_file()]
    if missing:
        raise ManifestError(
            f"{len(missing)} of {sum(map(len, paths))} pictures are not there, such as "
            f"{missing[0]}.",
            where=base,
            fix="a slice without an object has a mask of zeros; take rows without picture out of "
            "the table.",
        )
    listed = set(files)
    others = sum(path.is_file() and path.name not in listed for path in (base / images).iterdir())
    if others:
        log.warning("%d pictures in %s are not in the table and not used.", others, base / images)
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
        for number, (name, own) in enumerate(zip(slices["slice_id"], paths, strict=True), 1):
            shape = picture_size(own[0])
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
