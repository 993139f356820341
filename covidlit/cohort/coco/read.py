"""Read COCO JSON of labelled slices, as common annotation tools export it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from covidlit.cohort.coco.content import Coco, CocoAnnotation, CocoError, CocoImage
from covidlit.cohort.coco.problems import Problems, shown
from covidlit.cohort.coco.segmentation import SegmentationError, counts_of
from covidlit.cohort.coco.write import box_of_counts
from covidlit.errors import did_you_mean

LARGEST_SIDE = 16_384
"""Rows and columns of an image; more are no slice, and would take all memory."""

_FARTHEST = 1e9
"""Pixels; no box reaches so far."""

_WHOLE = "export the file again, whole, as COCO JSON of object instances"
_LISTS = {"images": True, "annotations": False, "categories": True}
"""The lists of a file, and whether one without an entry is refused."""


def read_coco(
    path: str | Path,
    classes: Sequence[str] | None = None,
    category_map: Mapping[str, str | None] | None = None,
) -> Coco:
    """Read a COCO file and check every annotation of it.

    Categories may have any ids, in any order. Licences, info, areas and key points may be missing
    and are not looked at. Polygons become masks by pixel centres, see
    `covidlit.cohort.coco.polygons`; boxes are not used, but one that lies elsewhere than its mask
    tells that one of them is wrong.

    Args:
        path: of the file.
        classes: our names that categories may stand for; None: any, by the names of the file.
        category_map: the name of a category in the file -> ours, or None for one that is left out;
            those that it does not name are found by their name, in whatever case and with blanks,
            hyphens or underscores.

    Raises:
        CocoError: names the file, the ids of the annotations, images or categories that are wrong,
            and how to mend them.
    """
    path = Path(path)
    lists = _lists(path)
    problems = Problems(path)
    images = _images(lists["images"], problems)
    categories = _categories(lists["categories"], problems)
    problems.check()
    used = {
        a.get("category_id") for a in lists["annotations"]
        if isinstance(a, dict) and isinstance(a.get("category_id"), int | str)
    }  # fmt: skip
    names = _our_names(categories, used, classes, category_map or {}, problems)
    problems.check()
    annotations = _annotations(lists["annotations"], images, names, problems)
    problems.check()
    found = dict.fromkeys(name for name in names.values() if name is not None)
    ordered = tuple(found) if classes is None else tuple(n for n in classes if n in found)
    return Coco(tuple(images.values()), tuple(annotations), ordered)


def _lists(path: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as problem:
        raise CocoError(
            f"cannot be read: {problem.strerror or problem}.", where=path, fix="check the path."
        ) from problem
    except (ValueError, RecursionError) as problem:
        reason = "nested too deeply" if isinstance(problem, RecursionError) else str(problem)
        raise CocoError(f"is no JSON: {reason}.", where=path, fix=f"{_WHOLE}.") from None
    if not isinstance(content, dict):
        raise CocoError(f"holds {shown(content)}, no COCO file.", where=path, fix=f"{_WHOLE}.")
    found: dict[str, list[Any]] = {}
    for name, needed in _LISTS.items():
        value = content.get(name)
        if not isinstance(value, list) or (needed and not value):
            what = "is missing" if name not in content else f"is {shown(value)}"
            raise CocoError(
                f"{name!r} {what}; a COCO file lists images, annotations and categories.",
                where=path,
                fix=f'{_WHOLE}; where nothing was annotated, write "annotations": [].',
            )
        found[name] = value
    return found


def _images(entries: list[Any], problems: Problems) -> dict[int | str, CocoImage]:
    images: dict[int | str, CocoImage] = {}
    names: set[str] = set()
    for number, entry in enumerate(entries, 1):
        key = _id(entry, f"entry {number} of images", images, problems)
        if key is None:
            continue
        name, sides = entry.get("file_name"), [entry.get("height"), entry.get("width")]
        if not isinstance(name, str) or not name.strip() or not _can_be_named(name):
            problems.add(f"image {key!r}: file_name is {shown(name)}", "name its file")
        elif name in names:
            problems.add(
                f"image {key!r}: {name!r} is the file of another image, too",
                "keep one entry per file, and give its annotations that image_id",
            )
        elif not all(type(n) is int and 0 < n <= LARGEST_SIDE for n in sides):
            problems.add(
                f"image {key!r}: height x width is {shown(sides[0])} x {shown(sides[1])}",
                f"give both as whole numbers of pixels up to {LARGEST_SIDE}",
            )
        else:
            names.add(name)
            images[key] = CocoImage(key, name, *sides)
            continue
        images[key] = CocoImage(key, str(name), 1, 1)
    return images


def _categories(entries: list[Any], problems: Problems) -> dict[int | str, str]:
    names: dict[int | str, str] = {}
    for number, entry in enumerate(entries, 1):
        key = _id(entry, f"entry {number} of categories", names, problems)
        if key is None:
            continue
        name = entry.get("name")
        if not isinstance(name, str) or not name.strip() or not _can_be_named(name):
            problems.add(f"category {key!r}: its name is {shown(name)}", "give it a name")
            name = ""
        names[key] = name
    return names


def _can_be_named(name: str) -> bool:
    """Whether a file can be called so: JSON can hold a zero, and halves of characters."""
    return "\0" not in name and not any("\ud800" <= letter <= "\udfff" for letter in name)


def _id(entry: Any, place: str, known: Mapping[Any, Any], problems: Problems) -> int | str | None:
    """The id of an entry, if it can be told apart from the others."""
    if not isinstance(entry, dict):
        problems.add(f"{place} is {shown(entry)}", "make it a mapping with an id")
        return None
    key: Any = entry.get("id")
    if type(key) not in (int, str):
        problems.add(f"{place}: its id is {shown(key)}", "give it a whole number of its own")
        return None
    if key in known:
        problems.add(f"{place}: the id {shown(key)} is given twice", "give each an id of its own")
        return None
    found: int | str = key
    return found


def _our_names(
    categories: Mapping[int | str, str],
    used: set[Any],
    classes: Sequence[str] | None,
    category_map: Mapping[str, str | None],
    problems: Problems,
) -> dict[int | str, str | None]:
    """By category id our name; None: left out."""
    theirs = {_plain(name): name for name in categories.values()}
    for name in category_map:
        if _plain(name) not in theirs:
            problems.add(
                f"there is no category {name!r} (there are: {', '.join(categories.values())})",
                did_you_mean(name, categories.values()) or "correct the map of categories",
            )
    mapped = {_plain(name): ours for name, ours in category_map.items()}
    own = None if classes is None else {_plain(name): name for name in classes}
    found: dict[int | str, str | None] = {}
    for key, name in categories.items():
        ours: str | None = mapped.get(_plain(name), name)
        if ours is None or own is None:
            found[key] = ours
        elif _plain(ours) in own:
            found[key] = own[_plain(ours)]
        elif key in used or _plain(name) in mapped:
            near = did_you_mean(_plain(ours), own) or f"ours are {', '.join(own.values())}"
            problems.add(
                f"category {key!r}: {ours!r} is none of our classes",
                f"map it to one of them, or to null to leave it out (category_map: {near})",
            )
        else:
            found[key] = None  # such as the root of a hierarchy, which nothing is annotated with
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


def _annotations(
    entries: list[Any],
    images: Mapping[int | str, CocoImage],
    names: Mapping[int | str, str | None],
    problems: Problems,
) -> list[CocoAnnotation]:
    found: dict[int | str, CocoAnnotation | None] = {}
    for number, entry in enumerate(entries, 1):
        key = _id(entry, f"entry {number} of annotations", found, problems)
        if key is None:
            continue
        found[key] = None
        try:
            found[key] = _annotation(key, entry, images, names)
        except SegmentationError as problem:
            problems.add(f"annotation {key!r} {problem}", problem.fix)
    return [annotation for annotation in found.values() if annotation is not None]


def _annotation(
    key: int | str,
    entry: Mapping[str, Any],
    images: Mapping[int | str, CocoImage],
    names: Mapping[int | str, str | None],
) -> CocoAnnotation | None:
    image = _named(entry, "image_id", images)
    name = _named(entry, "category_id", names)
    crowd = entry.get("iscrowd", 0)
    if type(crowd) not in (int, bool) or crowd not in (0, 1):
        raise SegmentationError(f"has iscrowd = {shown(crowd)}", "write 0 or 1, or leave it out")
    counts = counts_of(entry.get("segmentation"), (image.rows, image.columns))
    _check_box(entry.get("bbox"), box_of_counts(counts, image.rows))
    if name is None:
        return None
    return CocoAnnotation(key, image.image_id, name, counts, bool(crowd))


def _named(entry: Mapping[str, Any], field: str, known: Mapping[Any, Any]) -> Any:
    value = entry.get(field)
    if type(value) not in (int, str) or value not in known:
        what = "has no" if field not in entry else f"has the {field} {shown(value)}: there is no"
        text = f"{what} {field}" if field not in entry else f"{what} such one"
        raise SegmentationError(text, f"give it the {field} of an entry, or delete it")
    return known[value]


def _check_box(box: Any, of_mask: Sequence[int]) -> None:
    """Refuse a box that lies elsewhere than the mask: one of them is of another object."""
    if box is None or box == []:
        return
    fix = "correct the box or delete it: covidlit makes its own of the mask"
    if not (isinstance(box, list) and len(box) == 4 and all(type(n) in (int, float) for n in box)):
        raise SegmentationError(f"has the bbox {shown(box)}, not [x, y, width, height]", fix)
    # Whole numbers of JSON may be too large for a float.
    if not all(abs(n) < _FARTHEST and math.isfinite(n) for n in box):
        raise SegmentationError("has a bbox that is not finite, or is far too large", fix)
    for k in (0, 1):
        slack = max(2.0, 0.1 * of_mask[k + 2])
        edges = (box[k], box[k] + box[k + 2]), (of_mask[k], of_mask[k] + of_mask[k + 2])
        if any(abs(one - other) > slack for one, other in zip(*edges, strict=True)):
            raise SegmentationError(
                f"has a bbox that lies elsewhere than its mask ({'xy'[k]} from {edges[0][0]:g} to "
                f"{edges[0][1]:g}, the mask from {edges[1][0]} to {edges[1][1]})",
                fix,
            )
