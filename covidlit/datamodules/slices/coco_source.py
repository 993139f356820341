"""Labelled slices of COCO JSON, as annotation tools export it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from covidlit.cohort.coco import Coco, CocoAnnotation, CocoImage, read_coco, rle
from covidlit.cohort.slice_table import SLICES, read_slices, write_labelled_slices
from covidlit.datamodules.slices.label_volumes import CLASSES
from covidlit.datamodules.slices.mask_images import as_texts, paths_from, slice_rows
from covidlit.datamodules.slices.objects import LUNG
from covidlit.datamodules.slices.targets import each_lung, middle_of
from covidlit.errors import ConfigError, ManifestError
from covidlit.files import fingerprint
from covidlit.names import tidy_name
from covidlit.tables import read_table

FORMAT = 1
"""Raised when the same annotations give other slices."""


def coco_slices(
    annotations: str,
    images: str | None = None,
    table: str | None = None,
    patient_pattern: str | None = None,
    category_map: Mapping[str, str | None] | None = None,
    classes: Sequence[str] | None = None,
    folder: str = "data/slices",
    out: str | None = None,
) -> Path:
    """The slices of a COCO file, written once as contract 11.

    Annotations of a class `lung` that hold both lungs become one object for each.

    Args:
        annotations: the COCO file.
        images: folder of its pictures; null: the file's own folder.
        table: of its images, `.csv`, `.parquet` or `.xlsx`: `file_name` and `patient_id`; and where
            there are any `scan_id`, `slice_index`, `path` with `source` (a scan instead of the
            picture), spacing and grading. A `slices.parquet` of covidlit is one.
        patient_pattern: instead of a table, a regular expression that finds the patient in the
            names of the pictures, in its group `patient` or its first one.
        category_map: category -> class, see `read_coco`.
        classes: names of the classes; null: those of contract 7.
        folder: where the slices are kept; those of other arguments stand side by side in it.
        out: the folder of these slices itself, written anew.

    Returns:
        The path of the table of slices.

    Raises:
        CocoError: the file is wrong.
        ConfigError: neither table nor pattern, or a pattern that is none.
        ManifestError: an image is not in the table, or has no patient.
    """
    source = Path(annotations)
    names = tuple(CLASSES if classes is None else classes)
    coco = read_coco(source, names, category_map)
    place = source.parent if images is None else Path(images)
    rows = rows_of_images(coco, table, patient_pattern, place)
    if out is not None:
        return write_labelled_slices(rows, _renamed(coco, rows), out)
    content = hashlib.sha256(source.read_bytes()).hexdigest()
    key = fingerprint([FORMAT, content, str(place.resolve()), as_texts(rows),
                       dict(category_map or {}), list(names)])  # fmt: skip
    kept = Path(folder) / f"{tidy_name(source.stem)}-{key[:8]}"
    if not (kept / SLICES).is_file():
        write_labelled_slices(rows, _renamed(coco, rows), kept)
    return kept / SLICES


def existing_slices(path: str) -> Path:
    """A table of slices that is there (`slices.parquet`), its annotations beside it.

    Raises:
        ManifestError: there is none.
    """
    place = Path(path) / SLICES if Path(path).is_dir() else Path(path)
    if not place.is_file():
        raise ManifestError(
            "there is no such table of slices.",
            where=place,
            fix="make one with `covidlit coco`.",
        )
    return place


def pictures_of(coco: Coco, place: Path) -> list[str]:
    """The paths of the images of a COCO file in a folder, whether there or not."""
    return [str((place / image.file_name).resolve()) for image in coco.images]


def rows_of_images(coco: Coco, table: str | None, pattern: str | None, place: Path) -> pd.DataFrame:
    """Contract 11 of the images of a COCO file, in their order.

    Args:
        coco: content of the file.
        table, pattern: see `coco_slices`.
        place: folder of the pictures.

    Raises:
        ConfigError: neither table nor pattern, or a pattern that is none.
        ManifestError: an image is not in the table, or has no patient.
    """
    files = pd.DataFrame(
        {
            "file_name": [image.file_name for image in coco.images],
            "rows": [image.rows for image in coco.images],
            "columns": [image.columns for image in coco.images],
        }
    )
    if table is not None:
        rows = _of_table(files, Path(table))
    elif pattern is not None:
        rows = files.assign(patient_id=_patients(files["file_name"], pattern))
    else:
        raise ConfigError(
            "whose the images are is not known, and slices are split by patient.",
            where="data.source.table",
            fix="give a table with the columns file_name and patient_id, or "
            "data.source.patient_pattern='(?P<patient>[^_]+)_', say.",
        )
    rows = slice_rows(rows, rows["patient_id"].astype(str), table or pattern)
    scans = rows["source"] == "scan"
    pictures = pictures_of(coco, place)
    rows["path"] = rows["path"].where(scans, pictures) if "path" in rows else pictures
    return rows.rename(columns={"file_name": "original_id"})


def _of_table(files: pd.DataFrame, path: Path) -> pd.DataFrame:
    table = read_slices(path) if path.suffix == ".parquet" else read_table(path, ManifestError)
    if path.suffix != ".parquet" and "path" in table:
        table["path"] = paths_from(table["path"], path)
    if "file_name" not in table and "slice_id" in table:
        table["file_name"] = table["slice_id"] + ".png"
    for column in ("file_name", "patient_id"):
        if column not in table:
            raise ManifestError(
                f"the table has no column {column!r}.", where=path, fix="add it, one row an image."
            )
    own = table.drop(columns=[c for c in ("rows", "columns", "original_id") if c in table])
    own = own.assign(file_name=own["file_name"].astype(str))
    twice = own["file_name"].duplicated()
    missing = files[~files["file_name"].isin(own["file_name"])]
    if twice.any() or len(missing):
        name = own.loc[twice, "file_name"].iloc[0] if twice.any() else missing["file_name"].iloc[0]
        raise ManifestError(
            f"the image {name!r} has {'two rows' if twice.any() else 'no row'} in the table"
            f"{'' if twice.any() else f' ({len(missing)} such images)'}.",
            where=path,
            fix="write one row for each image of the COCO file.",
        )
    merged = files.merge(own, on="file_name", how="left", validate="1:1")
    if merged["patient_id"].isna().any():
        name = merged.loc[merged["patient_id"].isna(), "file_name"].iloc[0]
        raise ManifestError(
            f"the image {name!r} has no patient_id.",
            where=path,
            fix="fill it: slices are split by patient.",
        )
    return merged


def _patients(names: pd.Series, pattern: str) -> list[str]:
    where = "data.source.patient_pattern"
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"{pattern!r} is no regular expression ({error}).", where=where, fix="correct it."
        ) from error
    if not compiled.groups:
        raise ConfigError(
            f"{pattern!r} has no group.", where=where, fix="put the patient in brackets: (p[0-9]+)_"
        )
    group: Any = "patient" if "patient" in compiled.groupindex else 1
    found = [compiled.search(name) for name in names]
    for name, match in zip(names, found, strict=True):
        if match is None or not match[group]:
            raise ManifestError(
                f"the pattern {pattern!r} finds no patient in {name!r}.",
                where=where,
                fix="correct the pattern, or give a table of the images (data.source.table).",
            )
    return [match[group] for match in found if match is not None]


def _renamed(coco: Coco, rows: pd.DataFrame) -> Coco:
    """The same annotations under the names of the slices, each lung an object."""
    pairs = zip(coco.images, rows["slice_id"], strict=True)
    images = tuple(CocoImage(i.image_id, f"{name}.png", i.rows, i.columns) for i, name in pairs)
    shapes = {image.image_id: (image.rows, image.columns) for image in images}
    lungs: dict[int | str, list[int]] = {}
    for place, annotation in enumerate(coco.annotations):
        if annotation.class_name == LUNG and not annotation.crowd and rle.area(annotation.counts):
            lungs.setdefault(annotation.image_id, []).append(place)
    parts: dict[int, list[CocoAnnotation]] = {}
    for image_id, places in lungs.items():
        masks = [rle.decode(coco.annotations[k].counts, shapes[image_id]) > 0 for k in places]
        middle = middle_of(np.logical_or.reduce(masks))
        for place, mask in zip(places, masks, strict=True):
            own = coco.annotations[place]
            parts[place] = [
                replace(own, counts=rle.encode(part)) for part in each_lung(mask, middle)
            ]
    every = (parts.get(place, [own]) for place, own in enumerate(coco.annotations))
    return Coco(images, tuple(part for own in every for part in own), coco.classes)
