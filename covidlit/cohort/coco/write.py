"""Write labelled slices as COCO JSON that other tools read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.cohort.coco import rle
from covidlit.cohort.coco.content import Coco, CocoError
from covidlit.cohort.coco.polygons import outlines
from covidlit.files import write_text
from covidlit.version import __version__


def write_coco(coco: Coco, path: str | Path, *, polygons: bool = False) -> Path:
    """Write a COCO file, whole or not at all.

    Ids count from 1: pycocotools never finds an annotation 0. Each annotation has `area`, `bbox`
    (x, y, width, height, pixels that are half-open) and `iscrowd`.

    Args:
        coco: images, annotations and classes; the classes are the categories, in their order.
        path: of the file.
        polygons: outlines instead of run lengths, except of objects with holes and of crowds, which
            COCO has no outlines for. They give the masks back exactly where pixels are inside by
            their centres.

    Raises:
        CocoError: an annotation of an image or a class that is not there.
    """
    number = {image.image_id: k for k, image in enumerate(coco.images, 1)}
    category = {name: k for k, name in enumerate(coco.classes, 1)}
    annotations = []
    for k, annotation in enumerate(coco.annotations, 1):
        if annotation.image_id not in number or annotation.class_name not in category:
            raise CocoError(
                f"annotation {annotation.annotation_id} is of image {annotation.image_id!r} and "
                f"class {annotation.class_name!r}, and one of them is not there.",
                where=path,
                fix="list every image and class.",
            )
        image = coco.images[number[annotation.image_id] - 1]
        shape = (image.rows, image.columns)
        annotations.append(
            {
                "id": k,
                "image_id": number[annotation.image_id],
                "category_id": category[annotation.class_name],
                "segmentation": _segmentation(
                    annotation.counts, shape, polygons and not annotation.crowd
                ),
                "area": rle.area(annotation.counts),
                "bbox": box_of_counts(annotation.counts, image.rows),
                "iscrowd": int(annotation.crowd),
            }
        )
    content = {
        "info": {"description": "labelled slices", "version": __version__},
        "licenses": [],
        "images": [
            {"id": k, "file_name": i.file_name, "height": i.rows, "width": i.columns}
            for k, i in enumerate(coco.images, 1)
        ],
        "annotations": annotations,
        "categories": [
            {"id": k, "name": name, "supercategory": "lung" if name == "lung" else "lesion"}
            for name, k in category.items()
        ],
    }
    return write_text(path, json.dumps(content, allow_nan=False) + "\n")


def box_of_counts(counts: NDArray[np.int64], rows: int) -> list[int]:
    """The box (x, y, width, height) of a mask's run lengths; zeros of an empty one."""
    ends = np.cumsum(counts)
    first, last = ends[0::2][: len(counts) // 2], ends[1::2] - 1
    first, last = first[first <= last], last[first <= last]
    if not len(first):
        return [0, 0, 0, 0]
    left, right = int(first[0]) // rows, int(last[-1]) // rows
    whole = first // rows != last // rows  # a run over the end of a column holds both ends
    top = 0 if whole.any() else int((first % rows).min())
    bottom = rows - 1 if whole.any() else int((last % rows).max())
    return [left, top, right - left + 1, bottom - top + 1]


def _segmentation(counts: NDArray[np.int64], shape: tuple[int, int], polygons: bool) -> Any:
    if polygons:
        rings, holes = outlines(rle.decode(counts, shape))
        if rings and not holes:
            return [_flat(ring) for ring in rings]
    return {"size": list(shape), "counts": rle.to_text(counts)}


def _flat(ring: NDArray[np.float64]) -> Sequence[float]:
    return [round(float(value), 2) for value in ring.ravel()]
