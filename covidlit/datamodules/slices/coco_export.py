"""Labelled slices out of COCO JSON: label volumes of contract 7, mask pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from covidlit.cohort.coco import Coco, CocoAnnotation, rle
from covidlit.cohort.scan_reader import load_scan
from covidlit.cohort.slice_table import place_from, read_labelled_slices
from covidlit.datamodules.slices.label_volumes import CLASSES
from covidlit.datamodules.slices.objects import LUNG
from covidlit.datamodules.slices.targets import Instances, detection_target
from covidlit.dicom import Checks
from covidlit.errors import ConfigError, CovidlitError
from covidlit.files import atomic_path
from covidlit.names import tidy_name
from covidlit.progress import progress_bar
from covidlit.scans.images import write_nifti
from covidlit.scans.lesion_labels import FIRST_LESION, label_paths, validate_labels

_MADE_ANEW = ("slice_id", "original_id")
"""Columns of slices that come of others where mask pictures are read."""


def write_label_volumes(slices: str | Path, out: str | Path, checks: Any = None) -> list[Path]:
    """Label volumes of the scans of a table of slices, in the geometry of each scan.

    Where objects overlap, lesions lie over lung and smaller over larger ones. A lesion's number is
    that of its connected voxels of one class.

    Args:
        slices: contract 11, of scans; its annotations beside it.
        out: folder of the volumes (contract 7).
        checks: of the scans; None: the defaults, but of any number of slices.

    Returns:
        The volumes of classes.

    Raises:
        ConfigError: slices are pictures, or a class is none of contract 7.
        CovidlitError: a scan cannot be read, or is of another geometry than its annotations.
    """
    table, coco = read_labelled_slices(slices)
    if (table["source"] != "scan").any():
        raise ConfigError(
            "label volumes lie in the geometry of scans, and some slices are pictures.",
            where=slices,
            fix="give a table with path, source=scan and slice_index, or write masks (--to masks).",
        )
    if unknown := [name for name in coco.classes if name not in CLASSES]:
        raise ConfigError(
            f"label volumes have no class {unknown[0]!r}.",
            where=slices,
            fix=f"map it to one of {', '.join(CLASSES)}, or write masks (--to masks).",
        )
    own = _by_image(coco)
    images = {image.file_name: image.image_id for image in coco.images}
    written = []
    groups = list(table.groupby("scan_id", sort=False))
    with progress_bar("Writing label volumes", len(groups)) as bar:
        for scan_id, rows in groups:
            uid = rows["series_uid"].iloc[0] if "series_uid" in rows else None
            scan = load_scan(
                rows["path"].iloc[0],
                series_uid=uid if isinstance(uid, str) and uid else None,
                checks=checks or Checks(min_slices=1),
            )
            _check_size(rows, scan.hu.shape, str(scan_id))
            classes = np.zeros(scan.hu.shape, np.uint8)
            for row in rows.itertuples():
                found = own.get(images[f"{row.slice_id}.png"], [])
                classes[int(row.slice_index)] = class_map(found, CLASSES, scan.hu.shape[1:])
            instances = cc3d.connected_components(
                np.where(classes >= FIRST_LESION, classes, 0).astype(np.uint8)
            ).astype(np.int32)
            validate_labels(classes, instances, scan.hu.shape)
            paths = label_paths(out, str(scan_id))
            write_nifti(classes, scan.affine, paths[0])
            write_nifti(instances, scan.affine, paths[1])
            written.append(paths[0])
            bar.advance()
    return written


def write_mask_pictures(
    coco: Coco, out: str | Path, slices: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Mask pictures, 0 and 255, `<out>/<class>/<image>.png`: of each image one of each class.

    Args:
        coco: content of the COCO file.
        out: folder of the pictures.
        slices: contract 11 of its images in their order, see `rows_of_images`; None: not known.

    Returns:
        The table of the images, which `mask_images` reads: `file` (of its masks), `file_name` (as
        in the COCO file), `rows`, `columns`, `n_objects`, and what is known of the slices, such as
        `patient_id`, spacing and grading; `path` as seen from `out`.

    Raises:
        CovidlitError: two images would have masks of one name.
    """
    own = _by_image(coco)
    names = [f"{tidy_name(str(Path(i.file_name).with_suffix('')))}.png" for i in coco.images]
    files: dict[str, str] = {}
    for name, image in zip(names, coco.images, strict=True):
        if (other := files.setdefault(name.lower(), image.file_name)) != image.file_name:
            raise CovidlitError(
                f"the masks of {other!r} and {image.file_name!r} would have one name.",
                where=out,
                fix="rename one of these images in the COCO file.",
            )
    rows: list[dict[str, Any]] = []
    with progress_bar("Writing masks", len(coco.images)) as bar:
        for name, image in zip(names, coco.images, strict=True):
            found = own.get(image.image_id, [])
            for class_name in coco.classes:
                mask = np.zeros((image.rows, image.columns), np.uint8)
                for annotation in found:
                    if annotation.class_name == class_name:
                        mask |= rle.decode(annotation.counts, mask.shape)
                with atomic_path(Path(out, tidy_name(class_name), name)) as temporary:
                    Image.fromarray(mask * np.uint8(255)).save(temporary, format="PNG")
            rows.append(
                {
                    "file": name,
                    "file_name": image.file_name,
                    "rows": image.rows,
                    "columns": image.columns,
                    "n_objects": len(found),
                }
            )
            bar.advance()
    table = pd.DataFrame(rows)
    if slices is None:
        return table
    own = slices.dropna(axis="columns", how="all")
    own = own.drop(columns=[name for name in (*_MADE_ANEW, *table) if name in own])
    if "path" in own:
        own["path"] = [place_from(Path(place), Path(out)) for place in own["path"]]
    return table.join(own.reset_index(drop=True))


def class_map(
    annotations: Sequence[CocoAnnotation], classes: Sequence[str], shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    """The map of classes (rows, columns) of a slice's objects, crowds included."""
    size = (shape[0], shape[1])
    masks = np.zeros((len(annotations), *size), np.uint8)
    for k, annotation in enumerate(annotations):
        masks[k] = rle.decode(annotation.counts, size)
    labels = np.array([classes.index(a.class_name) + 1 for a in annotations], np.int64)
    lung = classes.index(LUNG) + 1 if LUNG in classes else 0
    target, _ = detection_target(Instances(masks, labels), (1.0, 1.0), len(classes), lung=lung)
    found: NDArray[np.uint8] = target["semantic"].numpy()
    return found


def _by_image(coco: Coco) -> dict[int | str, list[CocoAnnotation]]:
    own: dict[int | str, list[CocoAnnotation]] = {}
    for annotation in coco.annotations:
        own.setdefault(annotation.image_id, []).append(annotation)
    return own


def _check_size(rows: pd.DataFrame, shape: tuple[int, ...], scan_id: str) -> None:
    last, sizes = int(rows["slice_index"].max()), set(zip(rows["rows"], rows["columns"],
                                                          strict=True))  # fmt: skip
    if last >= shape[0] or sizes != {(shape[1], shape[2])}:
        raise CovidlitError(
            f"its annotations are of slices up to {last} of {sorted(map(tuple, sizes))[0]} pixels, "
            f"and the scan has {shape} (z, y, x).",
            where=f"scan {scan_id}",
            fix="give the scan that was annotated, and its slices counted from the feet on.",
        )
