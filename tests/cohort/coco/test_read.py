"""COCO files as annotation tools export them, and broken ones."""

from __future__ import annotations

import copy
import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covidlit.cohort.coco import (
    Coco,
    CocoAnnotation,
    CocoError,
    CocoImage,
    read_coco,
    rle,
    write_coco,
)  # fmt: skip
from covidlit.scans.lesion_labels import LESION_CLASSES

CLASSES = tuple(LESION_CLASSES[k] for k in range(1, 7))
SQUARE = np.zeros((20, 30), np.uint8)
SQUARE[4:9, 6:16] = 1
POLYGON = [6, 4, 16, 4, 16, 9, 6, 9]


def _file() -> dict[str, Any]:
    """Ids in no order and with gaps, a category that nothing is annotated with, no licence."""
    runs = rle.encode(SQUARE)
    return {
        "images": [
            {"id": 70, "file_name": "b.png", "height": 20, "width": 30},
            {"id": 3, "file_name": "a.png", "height": 20, "width": 30},
        ],
        "categories": [
            {"id": 0, "name": "anatomy"},
            {"id": 42, "name": "Ground Glass"},
            {"id": 7, "name": "lung"},
        ],
        "annotations": [
            {"id": 9, "image_id": 70, "category_id": 42, "segmentation": [POLYGON], "area": 50,
             "bbox": [6, 4, 10, 5], "iscrowd": 0},
            {"id": 5, "image_id": 70, "category_id": 7,
             "segmentation": {"size": [20, 30], "counts": runs.tolist()}},
            {"id": 0, "image_id": 70, "category_id": 7, "iscrowd": 1,
             "segmentation": {"size": [20, 30], "counts": rle.to_text(runs)}},
        ],
    }  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "annotations.json"


def _read(path: Path, content: Any, **arguments: Any) -> Coco:
    path.write_text(json.dumps(content))
    return read_coco(path, **{"classes": CLASSES, **arguments})


def test_every_form_of_mask_is_read_and_categories_by_name(path: Path) -> None:
    coco = _read(path, _file())
    assert coco.classes == ("lung", "ground_glass")
    assert [image.file_name for image in coco.images] == ["b.png", "a.png"]
    assert [a.class_name for a in coco.annotations] == ["ground_glass", "lung", "lung"]
    assert [a.crowd for a in coco.annotations] == [False, False, True]
    for annotation in coco.annotations:
        assert annotation.image_id == 70
        assert np.array_equal(rle.decode(annotation.counts, (20, 30)), SQUARE)


def test_a_map_of_categories_renames_and_leaves_out(path: Path) -> None:
    coco = _read(path, _file(), category_map={"ground glass": "fibrosis", "Lung": None})
    assert coco.classes == ("fibrosis",)
    assert [a.annotation_id for a in coco.annotations] == [9]
    with pytest.raises(CocoError, match=r"no category 'lungs'.*did you mean lung"):
        _read(path, _file(), category_map={"lungs": None})
    with pytest.raises(
        CocoError, match=r"category 42: 'glas' is none of our classes.*category_map"
    ):
        _read(path, _file(), category_map={"Ground Glass": "glas"})


def test_what_is_written_is_read_again(path: Path) -> None:
    ring = SQUARE.copy()
    ring[6, 8:12] = 0
    images = (CocoImage("x", "x.png", 20, 30), CocoImage("y", "y.png", 20, 30))
    annotations = tuple(
        CocoAnnotation(k, "y", name, rle.encode(mask), crowd)
        for k, (name, mask, crowd) in enumerate(
            [("lung", SQUARE, False), ("fibrosis", ring, False), ("lung", ring, True)]
        )
    )
    for polygons in (False, True):
        write_coco(Coco(images, annotations, ("lung", "fibrosis")), path, polygons=polygons)
        content = json.loads(path.read_text())
        assert [a["id"] for a in content["annotations"]] == [1, 2, 3]
        assert [a["area"] for a in content["annotations"]] == [50, 46, 46]
        assert [a["iscrowd"] for a in content["annotations"]] == [0, 0, 1]
        assert content["annotations"][0]["bbox"] == [6, 4, 10, 5]
        kinds = [type(a["segmentation"]) for a in content["annotations"]]
        assert kinds == ([list, dict, dict] if polygons else [dict, dict, dict])
        coco = read_coco(path)
        assert coco.classes == ("lung", "fibrosis")
        for one, other in zip(coco.annotations, annotations, strict=True):
            assert one.image_id == 2
            assert (one.class_name, one.crowd) == (other.class_name, other.crowd)
            assert np.array_equal(one.counts, other.counts)


def _changed(place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    content = copy.deepcopy(_file())
    inner: Any = content
    for key in place[:-1]:
        inner = inner[key]
    if value is KeyError:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return content


A = ("annotations", 0)
WRONG = [
    (("images",), KeyError, "'images' is missing"),
    (("annotations",), KeyError, r"'annotations' is missing.*\"annotations\": \[\]"),
    (("categories",), [], "'categories' is a list of 0"),
    (("images", 0, "id"), 3, r"entry 2 of images: the id 3 is given twice"),
    (("images", 0, "height"), 20.5, "image 70: height x width is 20.5 x 30"),
    (("images", 0, "width"), 10**12, "image 70"),
    (("images", 0, "width"), 31, r"annotation 5.*20 x 30 pixels, and the image has 20 x 31"),
    (("images", 0, "file_name"), None, "image 70: file_name is None"),
    (("images", 0, "file_name"), "a.png", "image 3: 'a.png' is the file of another image"),
    (("images", 0), 4, "entry 1 of images is 4"),
    (("categories", 1, "name"), 5, "category 42: its name is 5"),
    (("categories", 1, "name"), "gls", "category 42: 'gls' is none of our classes"),
    (("categories", 1, "id"), 7, "the id 7 is given twice"),
    ((*A, "id"), 5, "the id 5 is given twice"),
    ((*A, "id"), None, "entry 1 of annotations: its id is None"),
    ((*A, "id"), 1.5, "entry 1 of annotations: its id is 1.5"),
    ((*A, "image_id"), 4, "annotation 9 has the image_id 4: there is no such"),
    ((*A, "image_id"), KeyError, "annotation 9 has no image_id"),
    ((*A, "category_id"), "42", "annotation 9 has the category_id '42'"),
    ((*A, "iscrowd"), 2, "annotation 9 has iscrowd = 2"),
    ((*A, "segmentation"), KeyError, "annotation 9 has no segmentation.*a box alone"),
    ((*A, "segmentation"), [], "annotation 9 has no segmentation"),
    ((*A, "segmentation"), [[]], "annotation 9 polygon 1 has 0 point"),
    ((*A, "segmentation"), [[1, 2, 3, 4]], "annotation 9 polygon 1 has 2 point"),
    ((*A, "segmentation"), [POLYGON[:-1]], "annotation 9 polygon 1 has 7 numbers"),
    ((*A, "segmentation"), [[*POLYGON[:-1], float("nan")]], "annotation 9 polygon 1 holds nan"),
    ((*A, "segmentation"), [[*POLYGON[:-1], "9"]], "annotation 9 polygon 1 holds '9'"),
    ((*A, "segmentation"), [[*POLYGON[:-1], 900]], r"annotation 9 polygon 1 reaches to y = 900"),
    ((*A, "segmentation"), [[6, 4, 16, 4, 11, 4]], "annotation 9 covers no pixel"),
    ((*A, "segmentation"), "x", "annotation 9 segmentation is 'x'"),
    ((*A, "segmentation"), {"counts": [600]}, "annotation 9 the size of its run lengths is None"),
    ((*A, "segmentation"), {"size": [30, 20], "counts": [600]}, "exchanged"),
    ((*A, "segmentation"), {"size": [20, 30], "counts": [0, 601]}, "601, no number of pixels"),
    ((*A, "segmentation"), {"size": [20, 30], "counts": [0, 500]}, "of 500 pixels"),
    ((*A, "segmentation"), {"size": [20, 30], "counts": [600]}, "annotation 9 covers no pixel"),
    ((*A, "segmentation"), {"size": [20, 30], "counts": "PP"}, "cut off"),
    (
        (*A, "segmentation"),
        {"size": [20, 30], "counts": None},
        "counts of its run lengths are None",
    ),
    ((*A, "bbox"), [100, 4, 10, 5], "annotation 9 has a bbox that lies elsewhere"),
    ((*A, "bbox"), [6, 4, float("inf"), 5], "annotation 9 has a bbox that is not finite"),
    ((*A, "bbox"), [10**400, 4, 10, 5], "annotation 9 has a bbox that is not finite"),
    ((*A, "bbox"), [6, 4, 10**400, 0.5], "annotation 9 has a bbox that is not finite"),
    (("images", 0, "file_name"), "\ud800.png", "image 70: file_name is"),
    (("images", 0, "file_name"), "a\0.png", "image 70: file_name is"),
    (("categories", 1, "name"), "\udfff", "category 42: its name is"),
    ((*A, "bbox"), [6, 4, 10], "annotation 9 has the bbox a list of 3"),
]


@pytest.mark.parametrize(("place", "value", "said"), WRONG)
def test_what_is_wrong_is_named_with_file_id_and_fix(
    place: tuple[Any, ...], value: Any, said: str, path: Path
) -> None:
    with pytest.raises(CocoError, match=said) as caught:
        _read(path, _changed(place, value))
    assert caught.value.where == str(path)
    assert caught.value.fix


def test_several_problems_are_said_at_once(path: Path) -> None:
    content = _file()
    for annotation in content["annotations"]:
        annotation["image_id"] = 8
    with pytest.raises(CocoError) as caught:
        _read(path, content)
    assert re.findall(r"annotation (\d+)", str(caught.value)) == ["9", "5", "0"]


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"images": [1e', "\x80", "[" * 100_000])
def test_what_is_no_coco_file_is_said(text: str, path: Path) -> None:
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CocoError) as caught:
        read_coco(path)
    assert caught.value.where == str(path)
    with pytest.raises(CocoError, match="No such file"):
        read_coco(path.with_name("other.json"))


def test_a_huge_size_is_refused_before_memory_is_taken(path: Path) -> None:
    huge = {"size": [200_000, 200_000], "counts": [0, 200_000**2]}
    tracemalloc.start()
    with pytest.raises(CocoError, match="annotation 9"):
        _read(path, _changed((*A, "segmentation"), huge))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def _polygon_of(side: int, ring: list[int]) -> dict[str, Any]:
    return {
        "images": [{"id": 1, "file_name": "a.png", "height": side, "width": side}],
        "categories": [{"id": 1, "name": "lung"}],
        "annotations": [
            {"id": 71, "image_id": 1, "category_id": 1, "segmentation": [ring], "iscrowd": 0}
        ],
    }


def test_outlines_take_memory_for_their_box_and_not_for_the_image(path: Path) -> None:
    side = 16_384
    small = [side - 9, side - 7, side - 1, side - 7, side - 1, side - 1, side - 9, side - 1]
    tracemalloc.start()
    (found,) = _read(path, _polygon_of(side, small)).annotations
    _, peak = tracemalloc.get_traced_memory()
    assert peak < 5_000_000
    assert int(found.counts[1::2].sum()) == 8 * 6
    assert int(found.counts.sum()) == side**2
    with pytest.raises(CocoError, match="annotation 71 has outlines around 268435456 pixels"):
        _read(path, _polygon_of(side, [0, 0, side, 0, side, side, 0, side]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000
