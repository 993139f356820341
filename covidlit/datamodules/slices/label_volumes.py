"""Labelled slices of label volumes: those of contract 7, and NIfTI and DICOM SEG of others."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.cohort.coco import Coco, CocoAnnotation, CocoImage, rle
from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.scan_reader import load_scan
from covidlit.cohort.slice_table import SLICES, slice_id_of, write_labelled_slices
from covidlit.datamodules.slices.segmentation_objects import read_segments
from covidlit.datamodules.slices.targets import connected_instances
from covidlit.dicom import Checks
from covidlit.errors import ConfigError, CovidlitError, ManifestError
from covidlit.files import fingerprint
from covidlit.preprocess.backends import run_in_parallel
from covidlit.preprocess.index import file_stamp
from covidlit.progress import progress_bar
from covidlit.scans.content import CONTENT_CHECKS
from covidlit.scans.file_kind import kind_of
from covidlit.scans.images import read_volume
from covidlit.scans.lesion_labels import LESION_CLASSES

log = logging.getLogger(__name__)

CLASSES = tuple(LESION_CLASSES[value] for value in sorted(LESION_CLASSES) if value)
"""Names in the order of contract 7's values, from 1."""

OUTSIDE_LUNG = ("pleural_effusion",)
"""Lesions that lie beside the lung, not in it."""

FORMAT = 1
"""Raised when the same labels give other annotations."""

_OF_READING = {
    "target", "status", "reason", "notes", "n_slices", "label_rule", "checks_changed",
    "lungs_in_view_percent",
}  # fmt: skip
"""Columns of a manifest that say how the scan was read, and nothing of its slices."""


def label_volumes(
    manifest: str,
    labels: str,
    folder: str = "data/slices",
    name: str = "{scan_id}.classes.nii.gz",
    values: Mapping[int, str | None] | None = None,
    n_jobs: int = -1,
    out: str | None = None,
) -> Path:
    """The slices of scans that have a label volume, written once as contract 11.

    Args:
        manifest: contract 2; scans without a file of labels are left out, and counted in the log.
        labels: folder of the label volumes.
        folder: labelled slices of other arguments stand side by side in it.
        name: of a scan's file in it, from the columns of the manifest.
        values: value in the volumes -> name of our class, or None for one that is not used; 0 is
            the background. Of DICOM segmentations also the label of a segment, since programs
            number segments anew. None: the values and the names of contract 7.
        n_jobs: processes that read label volumes.
        out: the folder of these slices itself, written anew.

    Returns:
        The path of the table of slices, its annotations beside it.

    Raises:
        ConfigError: a value or a class that does not exist.
        ManifestError: no scan has labels.
        CovidlitError: a label volume cannot be read or holds a value that is not named.
    """
    table = read_manifest(manifest)
    if "status" in table:
        table = table[table["status"] != "refused"]
    named = {value: CLASSES[value - 1] for value in range(1, 7)} if values is None else values
    own, labels_of_segments = _checked_values(named)
    numbers = () if values is None else tuple(v for v in own if v in map(_number, named))
    if values is None:
        labels_of_segments = {name: name for name in CLASSES}
    paths = [_path_of(row, Path(labels), name) for row in table.to_dict("records")]
    there = [path.is_file() for path in paths]
    if not any(there):
        raise ManifestError(
            f"no scan of the manifest has labels; {paths[0] if paths else labels} is not there, "
            "for example.",
            where=labels,
            fix=f"check the folder and the names of its files (name={name!r}).",
        )
    if not all(there):
        log.warning("%d of %d scans have no label volume.", len(there) - sum(there), len(there))
    paths = [path for path, found in zip(paths, there, strict=True) if found]
    stamps = [file_stamp(path) for path in paths]
    content = hashlib.sha256(Path(manifest).read_bytes()).hexdigest()
    key = fingerprint(
        [FORMAT, content, stamps, list(map(list, own.items())), labels_of_segments, list(numbers)]
    )
    kept = Path(folder) / f"{Path(manifest).stem}-{key[:8]}" if out is None else Path(out)
    if out is None and (kept / SLICES).is_file():
        return kept / SLICES
    rows = table[there]
    uids = rows["series_uid"] if "series_uid" in rows else [None] * len(rows)
    tasks = [
        _Task(k, str(path), scan, uid if isinstance(uid, str) and uid else None, own,
              labels_of_segments, numbers)
        for k, (path, scan, uid) in enumerate(zip(paths, rows["path"], uids, strict=True))
    ]  # fmt: skip
    found: dict[int, _Labelled] = {}
    with progress_bar("Reading labels", len(tasks)) as bar:
        for number, labelled in run_in_parallel(_read, tasks, n_jobs=n_jobs):
            found[number] = labelled
            bar.advance()
    return write_slices_of_scans(rows, [found[k] for k in range(len(rows))], own, kept)


class _Task(NamedTuple):
    """A label volume to be read, and the scan that it is of."""

    number: int
    path: str
    scan: str
    series_uid: str | None
    values: dict[int, str | None]
    labels: dict[str, str | None]
    numbers: tuple[int, ...]


class _Labelled(dict[str, Any]):
    """One volume's: affine, shape, and by slice the (class, run lengths) of its objects."""


def write_slices_of_scans(
    rows: pd.DataFrame,
    labelled: Sequence[Mapping[str, Any]],
    values: Mapping[int, str | None],
    out: Path,
) -> Path:
    """Write the slices of scans and their objects.

    Args:
        rows: of the manifest, one per scan.
        labelled: for each, `affine`, `shape` and `objects`: (slice, class name, run lengths).
        values: see `label_volumes`; the classes among them were annotated.
        out: folder of the two files.
    """
    slices: list[dict[str, Any]] = []
    images: list[CocoImage] = []
    annotations: list[CocoAnnotation] = []
    kept = [column for column in rows.columns if column not in _OF_READING]
    for scan, own in zip(rows[kept].to_dict("records"), labelled, strict=True):
        depth, height, width = own["shape"]
        spacing = np.linalg.norm(np.array(own["affine"])[:3, :3], axis=0)
        first = len(images) + 1
        for index in range(depth):
            name = slice_id_of(scan["scan_id"], index)
            images.append(CocoImage(len(images) + 1, f"{name}.png", height, width))
            slices.append(
                {
                    "slice_id": name,
                    **scan,
                    "slice_index": index,
                    "source": "scan",
                    "rows": height,
                    "columns": width,
                    "row_spacing_mm": float(spacing[1]),
                    "column_spacing_mm": float(spacing[2]),
                    "labels_affine": json.dumps(np.round(own["affine"], 6).tolist()),
                }
            )
        for index, class_name, counts in own["objects"]:
            number = len(annotations) + 1
            annotations.append(CocoAnnotation(number, first + index, class_name, counts))
    named = [name for name in values.values() if name is not None]
    ordered = [name for name in CLASSES if name in named]
    ordered += [name for name in dict.fromkeys(named) if name not in CLASSES]
    coco = Coco(tuple(images), tuple(annotations), tuple(ordered))
    return write_labelled_slices(pd.DataFrame(slices), coco, out)


def objects_of_volume(
    classes: NDArray[np.integer], names: Mapping[int, str]
) -> Iterator[tuple[int, str, NDArray[np.int64]]]:
    """The objects of every slice of a label volume: (slice, class name, run lengths).

    Args:
        classes: (z, y, x), 0 background.
        names: value -> class name.
    """
    lung = next((value for value, name in names.items() if name == "lung"), None)
    in_lung = [v for v, name in names.items() if v != lung and name not in OUTSIDE_LUNG]
    for index, plane in enumerate(classes):
        if not plane.any():
            continue
        found = connected_instances(plane, in_lung if lung is not None else (), lung)
        for mask, label in zip(found.masks, found.labels.tolist(), strict=True):
            yield index, names[label], rle.encode(mask)


def _read(task: _Task) -> tuple[int, _Labelled]:
    volume, affine = _volume_of(task)
    present = [int(value) for value in np.unique(volume) if value != 0]
    unknown = [value for value in present if value not in task.values]
    if unknown:
        raise CovidlitError(
            f"the labels hold values that stand for no class: {unknown[:5]} (known: "
            f"{', '.join(f'{v}: {n}' for v, n in task.values.items())}).",
            where=task.path,
            fix="name them in data.source.values, with null for one that is not used.",
        )
    names: dict[int, str] = {}
    merged = np.zeros(volume.shape, np.uint8)
    for name in dict.fromkeys(n for n in task.values.values() if n is not None):
        names[len(names) + 1] = name
        own = [value for value in present if task.values[value] == name]
        if own:
            merged[np.isin(volume, own)] = len(names)
    objects = list(objects_of_volume(merged, names))
    return task.number, _Labelled(affine=affine, shape=volume.shape, objects=objects)


def _volume_of(task: _Task) -> tuple[NDArray[np.integer], NDArray[np.float64]]:
    """The label volume (z, y, x), canonical, and its affine."""
    if kind_of(Path(task.path)) == "dicom":
        return _segmentation_of(task)
    volume, affine = read_volume(task.path)
    if volume.dtype.kind == "f":
        whole = np.rint(volume)
        if not np.array_equal(whole, volume):
            raise CovidlitError(
                "the volume holds fractions, and labels are whole numbers.",
                where=task.path,
                fix="write it as integers, without interpolation.",
            )
        volume = whole.astype(np.int64)
    return volume, affine


def _segmentation_of(task: _Task) -> tuple[NDArray[np.integer], NDArray[np.float64]]:
    """A DICOM segmentation on its scan, lesions over lung, as values of the map."""
    # Its geometry alone is needed here; what the scan shows is judged where it is prepared.
    scan = load_scan(task.scan, task.series_uid, Checks(1, frozenset(CONTENT_CHECKS)))
    shape = (scan.hu.shape[0], scan.hu.shape[1], scan.hu.shape[2])
    volume = np.zeros(shape, np.int64)
    by_name = {name: value for value, name in task.values.items()}
    segments = []
    for number, label, mask in read_segments(Path(task.path), scan.affine, shape):
        name = _plain(label)
        if name in task.labels:
            segments.append((task.labels[name], mask))
        elif number in task.numbers:
            segments.append((task.values[number], mask))
        else:
            raise CovidlitError(
                f"segment {number}, {label!r}, stands for no class.",
                where=task.path,
                fix=f"name it in data.source.values: {{{label!r}: {CLASSES[1]}}}, or with null.",
            )
    for class_name, mask in sorted(segments, key=lambda pair: pair[0] != "lung"):
        if class_name is not None:
            volume[mask] = by_name[class_name]
    return volume, scan.affine


def _plain(label: str) -> str:
    return re.sub(r"[\s_-]+", "_", label.strip().lower())


def _checked_values(
    values: Mapping[Any, Any],
) -> tuple[dict[int, str | None], dict[str, str | None]]:
    """The classes by value, and by the label of a segment; those of labels have values as well."""
    found: dict[int, str | None] = {}
    labels: dict[str, str | None] = {}
    for value, name in values.items():
        label = str(value).strip()
        number = _number(label)
        named = name is None or (isinstance(name, str) and bool(name))
        if not named or (number is not None and number < 1) or isinstance(value, bool | float):
            raise ConfigError(
                f"{value!r}: {name!r} is no value of a label from 1 on, or label of a segment, "
                "with the name of a class.",
                where="data.source.values",
                fix=f"write for example {{1: lung, 2: {CLASSES[1]}, 3: null}}.",
            )
        if number is None:
            labels[_plain(label)] = name
        else:
            found[number] = name
    for name in labels.values():
        if name is not None and name not in found.values():
            found[max(found, default=0) + 1] = name
    if not any(found.values()):
        raise ConfigError(
            "no value stands for a class.",
            where="data.source.values",
            fix=f"write for example {{1: lung, 2: {CLASSES[1]}}}.",
        )
    return found, labels


def _number(value: object) -> int | None:
    """A value of a label, also as a text, which keys are on a command line."""
    text = str(value).strip()
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else None


def _path_of(row: Mapping[Any, Any], folder: Path, name: str) -> Path:
    try:
        return folder / name.format_map({str(key): value for key, value in row.items()})
    except (KeyError, ValueError, IndexError) as error:
        raise ConfigError(
            f"{name!r} cannot be filled in from the manifest ({error}).",
            where="data.source.name",
            fix="use its columns in braces, such as {scan_id}.classes.nii.gz.",
        ) from error
