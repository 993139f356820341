"""Change a COCO file of labelled slices at random, and see whether the reader notices.

    python benchmarks/coco_fuzz.py

Each mutation must end in the content that the changed file has by another program's account
(faster-coco-eval decodes the masks, plain Python the rest), or in an error that names the file, the
id of the annotation, image or category that was changed, and a fix; within 10 s and 200 MB. Writes
benchmarks/results/coco_fuzz.json.
"""

from __future__ import annotations

import argparse
import collections
import copy
import json
import math
import random
import tempfile
import time
import traceback
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as reference
from record import write_results
from rich.progress import track

from covidlit.cohort.coco import Coco, CocoError, read_coco, rle
from covidlit.cohort.coco.polygons import outlines

COMMAND = "python benchmarks/coco_fuzz.py"
LIMIT_S, LIMIT_MB = 10.0, 200.0
CLASSES = ("lung", "consolidation", "ground_glass")
JUNK: tuple[Any, ...] = (
    None, True, "", "abc", "7", -1, 0, 1.5, 10**30, 1e308, float("nan"), float("inf"), [], {},
    [[]], [None], {"id": 1}, [1, 2, 3], "\u2028", "é" * 100,
)  # fmt: skip


@dataclass
class Outcome:
    """What became of one mutation: `right`, `refused`, `unnamed`, `wrong`, `traceback`."""

    seed: int
    kind: str
    result: str
    detail: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0


def source(seed: int = 0) -> dict[str, Any]:
    """A file with masks of every form, in images of several sizes, one of them empty."""
    rng = np.random.default_rng(seed)
    images = [
        {"id": key, "file_name": f"s{key}.png", "height": height, "width": width}
        for key, height, width in ((4, 40, 50), (11, 64, 64), (2, 30, 45), (90, 50, 40))
    ]
    annotations = []
    for k in range(18):
        image = images[k % 3]
        height, width = int(image["height"]), int(image["width"])  # type: ignore[call-overload]
        y, x = np.mgrid[:height, :width]
        cy, cx, r = rng.uniform(8, height - 8), rng.uniform(8, width - 8), rng.uniform(2, 8)
        mask = (y - cy) ** 2 + (x - cx) ** 2 < r**2
        if k % 4 == 1:
            mask &= (y - cy) ** 2 + (x - cx) ** 2 > (r / 2) ** 2
        counts = rle.encode(mask)
        form: Any = [ring.ravel().tolist() for ring in outlines(mask)[0]]
        if k % 4 == 1:
            form = {"size": [height, width], "counts": rle.to_text(counts)}
        elif k % 4 == 2:
            form = {"size": [height, width], "counts": counts.tolist()}
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        annotations.append(
            {
                "id": 100 + 7 * k, "image_id": image["id"], "category_id": (30, 8, 15)[k % 3],
                "segmentation": form, "area": int(mask.sum()), "bbox": [int(n) for n in box],
                "iscrowd": int(k == 6),
            }
        )  # fmt: skip
    categories = [
        {"id": key, "name": name}
        for key, name in ((30, "lung"), (15, "Ground Glass"), (8, "consolidation"))
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def _entry(content: Any, rng: random.Random, group: str = "annotations") -> tuple[Any, list[str]]:
    """An entry of the file, and what an error about it may call it."""
    place = rng.randrange(len(content[group]))
    entry = content[group][place]
    what = {"annotations": "annotation", "images": "image", "categories": "category"}[group]
    key = entry["id"]
    # Of an image or category that is gone, what refers to it is named, by its own id.
    return entry, [f"{what} {key!r}", f"entry {place + 1} of {group}", f"has the {what}_id {key}:"]


def _replace(content: Any, rng: random.Random) -> list[str]:
    entry, names = _entry(content, rng, rng.choice(["annotations"] * 4 + ["images", "categories"]))
    entry[rng.choice(list(entry))] = copy.deepcopy(rng.choice(JUNK))
    return names


def _remove(content: Any, rng: random.Random) -> list[str]:
    entry, names = _entry(content, rng, rng.choice(["annotations"] * 4 + ["images", "categories"]))
    del entry[rng.choice(list(entry))]
    return names


def _top(content: Any, rng: random.Random) -> list[str]:
    name = rng.choice(list(content))
    if rng.random() < 0.4:
        del content[name]
    else:
        content[name] = copy.deepcopy(rng.choice(JUNK))
    return [repr(name), f"of {name} is"]


def _drop_entry(content: Any, rng: random.Random) -> list[str]:
    group = rng.choice(["images", "categories", "annotations"])
    del content[group][rng.randrange(len(content[group]))]
    return ["annotation "]


def _twice(content: Any, rng: random.Random) -> list[str]:
    group = rng.choice(["images", "categories", "annotations"])
    entry, _ = _entry(content, rng, group)
    again = copy.deepcopy(entry)
    if rng.random() < 0.5:
        again["id"] = 999
    content[group].insert(rng.randrange(len(content[group]) + 1), again)
    return [f"of {group}: the id {entry['id']}", "image 999", f"image {entry['id']}", "category"]


def _ids(content: Any, rng: random.Random) -> list[str]:
    entry, names = _entry(content, rng)
    field = rng.choice(["id", "image_id", "category_id"])
    entry[field] = rng.choice([0, 1, 2, 4, 8, 11, 90, 100, 107, "4", -3, 2**70, 4.0])
    return [*names, f"the id {entry[field]}"]


def _renumber(content: Any, rng: random.Random) -> list[str]:
    """Other ids in another order, which change nothing."""
    for group, field in (("images", "image_id"), ("categories", "category_id")):
        keys = rng.sample(range(-5, 500), len(content[group]))
        new = dict(zip((e["id"] for e in content[group]), keys, strict=True))
        for entry in content[group]:
            entry["id"] = new[entry["id"]]
        for annotation in content["annotations"]:
            annotation[field] = new[annotation[field]]
        rng.shuffle(content[group])
    rng.shuffle(content["annotations"])
    return []


def _image_size(content: Any, rng: random.Random) -> list[str]:
    entry, names = _entry(content, rng, "images")
    side = rng.choice(["height", "width"])
    entry[side] = rng.choice([0, -4, 1, entry[side] + 1, entry[side] * 2, 10**9, 2**40, 40.0])
    own = [a["id"] for a in content["annotations"] if a["image_id"] == entry["id"]]
    return [*names, *(f"annotation {key}" for key in own)]


def _polygon(content: Any, rng: random.Random) -> list[str]:
    polygons = [a for a in content["annotations"] if isinstance(a["segmentation"], list)]
    entry = rng.choice(polygons)
    ring = rng.choice(entry["segmentation"])
    kind = rng.randrange(12)
    if kind == 0:
        del ring[4:]
    elif kind == 1:
        del ring[-1]
    elif kind == 2:
        ring[rng.randrange(len(ring))] = rng.choice([float("nan"), float("inf"), -float("inf")])
    elif kind == 3:
        ring[rng.randrange(len(ring))] = rng.choice(["3", None, True, [1], {}])
    elif kind == 4:
        ring[rng.randrange(len(ring))] = rng.choice([1e9, -1e9, 1e308, 10**40, -60.0])
    elif kind == 5:
        ring[:] = ring[:2] * 4
    elif kind == 6:
        entry["segmentation"].append([])
    elif kind == 7:
        entry["segmentation"] = ring
    elif kind == 8:
        ring[:] = [value / 512 for value in ring]
    elif kind == 9:
        ring.reverse()
        ring[::2], ring[1::2] = ring[1::2], ring[::2]
    elif kind == 10:
        entry["segmentation"] = [[[x, y] for x, y in zip(ring[::2], ring[1::2], strict=True)]]
    else:
        place = rng.randrange(len(ring))
        ring[place] = ring[place] + rng.uniform(-1.5, 1.5)
    return [f"annotation {entry['id']}"]


def _runs(content: Any, rng: random.Random) -> list[str]:
    runs = [a for a in content["annotations"] if isinstance(a["segmentation"], dict)]
    entry = rng.choice(runs)
    form = entry["segmentation"]
    counts = form["counts"]
    kind = rng.randrange(10)
    if kind == 0:
        form["size"] = form["size"][::-1]
    elif kind == 1:
        form["size"] = rng.choice([[10**6, 10**6], [0, 0], [-40, -50], [2**33, 1], [40], "40x50"])
    elif kind == 2:
        form["counts"] = [0, 10**12] if rng.random() < 0.5 else [10**9] * 50
    elif kind == 3:
        form["counts"] = copy.deepcopy(rng.choice(JUNK))
    elif kind == 4:
        del form[rng.choice(["size", "counts"])]
    elif isinstance(counts, str):
        place = rng.randrange(len(counts))
        other = rng.choice(["", chr(rng.randrange(48, 112)), chr(rng.randrange(32, 300)), "oooo"])
        form["counts"] = counts[:place] + other + counts[place + (kind % 2) :]
    else:
        place = rng.randrange(len(counts))
        counts[place] = rng.choice([-1, 0, 1.0, counts[place] + 1, None, "5", 2**63, float("nan")])
        if kind == 9:
            del counts[place:]
    return [f"annotation {entry['id']}"]


def _box(content: Any, rng: random.Random) -> list[str]:
    entry, names = _entry(content, rng)
    field = rng.choice(["bbox", "area", "iscrowd"])
    entry[field] = copy.deepcopy(rng.choice([*JUNK, [0, 0, 5, 5], [1, 2, 3], 2, -1]))
    return names


def _category_name(content: Any, rng: random.Random) -> list[str]:
    entry, names = _entry(content, rng, "categories")
    entry["name"] = rng.choice(
        ["LUNG", " lung ", "ground-glass", "glas", "", None, "consolidations"]
    )
    return names


def _text(text: str, rng: random.Random) -> str:
    """Damage to the file itself."""
    place = rng.randrange(len(text))
    kind = rng.randrange(5)
    if kind == 0:
        return text[:place]
    if kind == 1:
        return text[:place] + chr(rng.randrange(1, 127)) + text[place + 1 :]
    if kind == 2:
        return "\ufeff" + text
    if kind == 3:
        return text[:place] + text[place + rng.randrange(1, 30) :]
    return text[:place] + "\x00\ud800"[rng.randrange(2)] + text[place:]


KINDS: tuple[Callable[[Any, random.Random], list[str]], ...] = (
    _replace, _remove, _top, _drop_entry, _twice, _ids, _renumber, _image_size, _polygon, _polygon,
    _runs, _runs, _box, _category_name,
)  # fmt: skip


def fuzz_one(seed: int, path: Path) -> Outcome:
    """Make one mutation and judge what the reader makes of it."""
    rng = random.Random(seed)
    content = source(seed % 7)
    names: list[str] | None = None
    if rng.random() < 0.12:
        kind = "text"
        text = _text(json.dumps(content), rng)
        path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    else:
        mutate = rng.choice(KINDS)
        kind, names = mutate.__name__.strip("_"), mutate(content, rng)
        path.write_text(json.dumps(content))
    outcome = Outcome(seed, kind, "right")
    tracemalloc.start()
    start = time.perf_counter()
    found: Coco | None = None
    try:
        found = read_coco(path, CLASSES)
    except CocoError as error:
        outcome.result, outcome.detail = "refused", str(error)
        if error.where != str(path) or not error.fix or not _named(str(error.what), names):
            outcome.result = "unnamed"
    except Exception:
        outcome.result, outcome.detail = "traceback", traceback.format_exc()
    outcome.seconds = time.perf_counter() - start
    outcome.peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    if found is not None and (difference := differs(found, path)):
        outcome.result, outcome.detail = "wrong", difference
    return outcome


def _named(what: str, names: list[str] | None) -> bool:
    """Whether an error names what was changed; of damage to the text nobody can know."""
    return names is None or any(name in what for name in names)


def differs(found: Coco, path: Path) -> str:
    """How what was read differs from the file's own content; empty where it does not."""
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    images = {i["id"]: i for i in content["images"]}
    if [(i.image_id, i.file_name, i.rows, i.columns) for i in found.images] != [
        (i["id"], i["file_name"], i["height"], i["width"]) for i in content["images"]
    ]:
        return "images"
    categories = {c["id"]: c["name"] for c in content["categories"]}
    if len(images) < len(content["images"]) or len(categories) < len(content["categories"]):
        return "ids that are given twice"
    if len(found.annotations) != len(content["annotations"]):
        return f"{len(found.annotations)} of {len(content['annotations'])} annotations"
    for own, entry in zip(found.annotations, content["annotations"], strict=True):
        name = categories[entry["category_id"]].strip().lower().replace(" ", "_").replace("-", "_")
        same = (entry["id"], entry["image_id"], name, bool(entry.get("iscrowd", 0)))
        if (own.annotation_id, own.image_id, own.class_name, own.crowd) != same:
            return f"annotation {entry['id']}: {own} for {same}"
        image = images[entry["image_id"]]
        shape = (image["height"], image["width"])
        text = _mask_differs(rle.decode(own.counts, shape), entry["segmentation"], shape)
        if text:
            return f"annotation {entry['id']}: {text}"
    return ""


def _mask_differs(mask: np.ndarray, form: Any, shape: tuple[int, int]) -> str:
    if isinstance(form, dict):
        if tuple(form["size"]) != shape:
            return "another size"
        packed = reference.frPyObjects(form, *shape) if isinstance(form["counts"], list) else form
        other = reference.decode(packed)
        return "" if np.array_equal(other, mask) else "other pixels than the reference's"
    rings = form if isinstance(form[0], list) else [form]
    points = [value for ring in rings for value in ring]
    if not all(math.isfinite(value) for value in points) or min(map(len, rings)) < 6:
        return "a polygon that is none"
    other = reference.decode(reference.merge(reference.frPyObjects(rings, *shape)))
    # The reference rounds corners to fifths of a pixel: it may differ along the outline.
    outline = sum(
        float(np.abs(np.diff(np.array([*ring, *ring[:2]]).reshape(-1, 2), axis=0)).sum())
        for ring in rings
    )
    different = int((other != mask).sum())
    return "" if different <= 0.5 * outline + 1 else f"{different} other pixels"


def fuzz(mutations: int, seed: int = 0) -> list[Outcome]:
    """The outcomes of a number of mutations."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "annotations.json"
        return [fuzz_one(seed + k, path) for k in track(range(mutations), "COCO files")]


def main() -> None:
    """Fuzz, print what went wrong, write the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first mutation")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    outcomes = fuzz(arguments.mutations, arguments.seed)
    for one in outcomes:
        if one.result not in ("right", "refused") or arguments.verbose:
            print(f"seed {one.seed} {one.kind} {one.result}: {one.detail}")
    counts = collections.Counter(one.result for one in outcomes)
    rows = [
        ("read otherwise than the file says", counts["wrong"], "mutations", "== 0"),
        ("tracebacks", counts["traceback"], "mutations", "== 0"),
        ("refused without file, id and fix", counts["unnamed"], "mutations", "== 0"),
        ("read right", counts["right"], "mutations", None),
        ("refused with file, id and fix", counts["refused"], "mutations", None),
        ("slowest", round(max(one.seconds for one in outcomes), 3), "s", f"<= {LIMIT_S:g}"),
        ("most memory", round(max(o.peak_mb for o in outcomes), 1), "MB", f"<= {LIMIT_MB:g}"),
    ]
    command = f"{COMMAND} --mutations {arguments.mutations} --seed {arguments.seed}"
    figures = [
        {"figure": f"{len(outcomes)} mutations: {name}", "value": value, "unit": unit,
         "target": target, "peer": None, "command": command}
        for name, value, unit, target in rows
    ]  # fmt: skip
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']} {figure['target'] or ''}")
    print(write_results("coco_fuzz", figures))


if __name__ == "__main__":
    main()
