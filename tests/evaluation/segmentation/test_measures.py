"""Measures against references from elsewhere: pycocotools, SciPy, shapes that can be worked out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.segmentation.froc import froc_curve, match_slices, sensitivity_estimates
from covidlit.evaluation.segmentation.precision import (
    coco_precision,
    match_classes,
    mean_precision,
    precision_estimates,
)
from covidlit.scans.run_length import (
    areas,
    decode_masks,
    encode_masks,
    intersection,
    overlaps,
    union,
)
from covidlit.scans.surface import surface_distance
from covidlit.tasks.matching import match, on_ignored, sensitivity_at

SHAPE = (48, 64)


def test_run_lengths_and_what_is_counted_on_them() -> None:
    masks = np.random.default_rng(0).random((5, *SHAPE)) < 0.4
    counts = encode_masks(masks)
    assert np.array_equal(decode_masks(counts, SHAPE), masks)
    assert areas(counts, SHAPE).tolist() == masks.sum(axis=(1, 2)).tolist()
    assert np.array_equal(decode_masks([union(counts, SHAPE)], SHAPE)[0], masks.any(axis=0))
    assert np.array_equal(decode_masks([intersection(counts, SHAPE)], SHAPE)[0], masks.all(axis=0))
    expected = [[(a & b).sum() / (a | b).sum() for b in masks[2:]] for a in masks[:2]]
    assert overlaps(counts[:2], counts[2:], SHAPE) == pytest.approx(np.array(expected))
    assert overlaps([], counts, SHAPE).shape == (0, 5)
    assert encode_masks(masks[:0]) == []
    assert decode_masks([union([], SHAPE)], SHAPE).sum() == 0


def _distance_by_points(one: Any, other: Any, spacing: tuple[float, float]) -> tuple[float, float]:
    points = [np.argwhere(m & ~binary_erosion(m)) * spacing for m in (one, other)]
    far = cdist(*points)
    a, b = far.min(axis=1), far.min(axis=0)
    mean = np.concatenate([a, b]).mean()
    return float(mean), float(max(np.quantile(a, 0.95), np.quantile(b, 0.95)))


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 0.9), (2.0, 0.5)])
def test_surface_distance_is_that_between_outline_points(spacing: tuple[float, float]) -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    one = (y - 20) ** 2 + (x - 25) ** 2 < 12**2
    other = ((y - 24) / 9) ** 2 + ((x - 31) / 15) ** 2 < 1
    other |= (y < 5) & (x < 4)  # a second piece, on the border
    found = surface_distance(one, other, spacing)
    assert found == pytest.approx(_distance_by_points(one, other, spacing), rel=1e-5)
    assert surface_distance(one, one, spacing) == (0.0, 0.0)
    assert surface_distance(one, np.zeros_like(one)) is None


def test_surface_distance_of_shifted_squares_in_millimetres() -> None:
    one, other = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    one[10:11, 10:20] = True  # a line: all of it is outline
    other[14:15, 10:20] = True
    assert surface_distance(one, other, (0.5, 0.7)) == pytest.approx((2.0, 2.0))


def _random_items(seed: int, n_slices: int = 12) -> tuple[pd.DataFrame, ...]:
    """Slices with discs, and detections that are some of these moved, and others."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    rows: dict[str, list[Any]] = {"true": [], "found": []}

    def add(kind: str, place: int, name: str, cy: float, cx: float, r: float) -> None:
        mask = (y - cy) ** 2 + (x - cx) ** 2 <= r**2
        if not mask.any():
            return
        py, px = np.nonzero(mask)
        row = {
            "place": place, "class_name": name, "mask": encode_masks(mask[None])[0],
            "x0": float(px.min()), "y0": float(py.min()),
            "x1": float(px.max() + 1), "y1": float(py.max() + 1), "pixels": int(mask.sum()),
        }  # fmt: skip
        rows[kind].append(row | ({"score": float(rng.random())} if kind == "found" else {}))

    for place in range(n_slices):
        for _ in range(rng.integers(0, 4)):
            name = str(rng.choice(["a", "b"]))
            cy, cx, r = rng.uniform(8, 40), rng.uniform(8, 56), rng.uniform(3, 9)
            add("true", place, name, cy, cx, r)
            if rng.random() < 0.8:
                add("found", place, name, *(np.array([cy, cx, r]) + rng.normal(0, 1.2, 3)))
        for _ in range(rng.integers(0, 3)):
            add("found", place, "a", rng.uniform(8, 40), rng.uniform(8, 56), rng.uniform(3, 9))
    slices = pd.DataFrame(
        {"rows": SHAPE[0], "columns": SHAPE[1], "patient_id": np.arange(n_slices) // 2}
    )
    return slices, pd.DataFrame(rows["found"]), pd.DataFrame(rows["true"])


def _pycocotools(slices: Any, found: pd.DataFrame, true: pd.DataFrame, kind: str) -> Any:
    names = {"a": 1, "b": 2}

    def annotation(number: int, row: Any) -> dict[str, Any]:
        return {
            "id": number, "image_id": int(row.place) + 1, "category_id": names[row.class_name],
            "bbox": [row.x0, row.y0, row.x1 - row.x0, row.y1 - row.y0], "area": row.pixels,
            "segmentation": {"size": list(SHAPE), "counts": row.mask},
            "iscrowd": int(getattr(row, "ignored", False)),
        }  # fmt: skip

    truth = COCO()
    truth.dataset = {
        "images": [
            {"id": k + 1, "height": SHAPE[0], "width": SHAPE[1]} for k in range(len(slices))
        ],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": [annotation(k, row) for k, row in enumerate(true.itertuples(), start=1)],
    }
    truth.createIndex()
    results = [
        annotation(k, row) | {"score": row.score} for k, row in enumerate(found.itertuples())
    ]
    judged = COCOeval(truth, truth.loadRes(results), kind)
    judged.evaluate()
    judged.accumulate()
    judged.summarize()
    return judged.stats[:2]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mean_average_precision_is_that_of_pycocotools(seed: int) -> None:
    slices, found, true = _random_items(seed)
    values = coco_precision(slices, found, true)
    ones = np.ones(len(slices))
    for name, kind in (("box", "bbox"), ("mask", "segm")):
        expected = _pycocotools(slices, found, true, kind)
        assert (values[name], values[f"{name}_50"]) == pytest.approx(tuple(expected), abs=1e-6)
        own = mean_precision(match_classes(slices, found, true, name), ones)
        assert own == pytest.approx(tuple(expected), abs=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_regions_to_ignore_are_crowds_of_pycocotools(seed: int) -> None:
    slices, found, true = _random_items(seed, n_slices=20)
    rng = np.random.default_rng(seed)
    mixed = true.assign(ignored=rng.random(len(true)) < 0.4)
    values = coco_precision(slices, found, mixed)
    for name, kind in (("box", "bbox"), ("mask", "segm")):
        expected = _pycocotools(slices, found, mixed, kind)
        assert (values[name], values[f"{name}_50"]) == pytest.approx(tuple(expected), abs=1e-6)
        own = mean_precision(match_classes(slices, found, mixed, name), np.ones(len(slices)))
        assert own == pytest.approx(tuple(expected), abs=1e-6)
        dropped = coco_precision(slices, found, mixed[~mixed["ignored"]])
        assert values[name] > dropped[name]  # else the detections there count as wrong
    sampling = Sampling(slices["patient_id"].to_numpy(), n_bootstrap=2)
    measured = precision_estimates(slices, found, mixed, sampling)
    assert measured["mask"].n == (~mixed["ignored"]).sum()
    everything = precision_estimates(slices, found, mixed.assign(ignored=True), sampling)
    assert everything["mask"].reason == "there is no object in these slices"


def _mask(y: int, x: int, height: int, width: int) -> str:
    mask = np.zeros((1, *SHAPE), bool)
    mask[0, y : y + height, x : x + width] = True
    return encode_masks(mask)[0]


def test_a_detection_on_a_region_to_ignore_is_no_false_positive() -> None:
    regions = [_mask(0, 0, 10, 20), _mask(0, 20, 10, 20), _mask(40, 60, 1, 2)]
    cases = {
        _mask(2, 2, 4, 4): True,  # inside one
        _mask(2, 16, 4, 8): True,  # half in one, half in its neighbour
        _mask(7, 2, 6, 4): True,  # 3 of 6 rows inside
        _mask(8, 2, 6, 4): False,  # 2 of 6
        _mask(39, 59, 3, 4): True,  # 2 of 12 pixels: as a lesion is met
        _mask(30, 30, 4, 4): False,
    }
    assert on_ignored(list(cases), regions, SHAPE).tolist() == list(cases.values())
    assert not on_ignored(list(cases), [], SHAPE).any()
    assert on_ignored([], regions, SHAPE).shape == (0,)
    slices = pd.DataFrame({"rows": [SHAPE[0]], "columns": [SHAPE[1]], "patient_id": ["a"]})
    lesion = _mask(20, 20, 6, 6)
    objects = pd.DataFrame(
        {"place": 0, "mask": [*regions, lesion], "ignored": [True] * 3 + [False]}
    )
    masks = [*cases, lesion]
    detections = pd.DataFrame({"place": 0, "mask": masks, "score": np.linspace(0.9, 0.3, 7)})
    found = match_slices(slices, detections, objects)
    assert found.found.tolist() == [pytest.approx(0.3)]
    assert found.false_score.tolist() == pytest.approx([0.6, 0.4])


def test_a_replicate_is_the_table_with_its_slices_as_often_as_drawn() -> None:
    slices, found, true = _random_items(3)
    weights = np.random.default_rng(0).integers(0, 3, len(slices)).astype(float)
    copies: dict[str, list[Any]] = {"slices": [], "found": [], "true": []}
    for place, times in enumerate(weights.astype(int)):
        for _ in range(times):
            new = len(copies["slices"])
            copies["slices"].append(slices.iloc[place])
            copies["found"].append(found[found["place"] == place].assign(place=new))
            copies["true"].append(true[true["place"] == place].assign(place=new))
    repeated = (
        pd.DataFrame(copies["slices"]).reset_index(drop=True),
        pd.concat(copies["found"]),
        pd.concat(copies["true"]),
    )
    for kind in ("box", "mask"):
        expected = mean_precision(match_classes(*repeated, kind), np.ones(len(repeated[0])))
        assert mean_precision(match_classes(slices, found, true, kind), weights) == pytest.approx(
            expected
        )


def test_false_positives_on_slices_without_an_object_count_in_masks_too() -> None:
    slices, _, true = _random_items(4)
    with_object = sorted(set(true["place"]))
    right = true.assign(score=0.9)[true["place"].isin(with_object)]
    assert coco_precision(slices, right, true)["mask"] == pytest.approx(1.0)
    empty = next(k for k in range(len(slices)) if k not in with_object)
    wrong = pd.concat([right, right[:9].assign(place=empty, score=1.0)], ignore_index=True)
    assert coco_precision(slices, wrong, true)["mask"] < 0.8


def test_precision_has_an_interval_around_it_or_a_reason() -> None:
    slices, found, true = _random_items(5)
    sampling = Sampling(slices["patient_id"].to_numpy(), n_bootstrap=100)
    measured = precision_estimates(slices, found, true, sampling)
    for own in measured.values():
        assert own.low is not None
        assert own.low <= own.value <= own.high
    none = precision_estimates(slices, found, true[:0], sampling)
    assert none["mask"].reason == "there is no object in these slices"


def test_detections_are_matched_the_surest_first() -> None:
    overlap = np.array([[0.6, 0.2], [0.7, 0.0], [0.05, 0.5], [0.0, 0.09]])
    found = match(overlap, np.array([0.9, 0.8, 0.7, 0.95]))
    assert found.hit.tolist() == [True, False, True, False]
    assert found.false.tolist() == [False, False, False, True]  # the second on one lesion: neither
    assert found.found.tolist() == [0.9, 0.7]
    strict = match(overlap, np.array([0.9, 0.8, 0.7, 0.95]), least=0.65)
    assert strict.found.tolist() == [0.8, -np.inf]
    none = match(np.zeros((2, 0)), np.array([0.5, 0.6]))
    assert none.false.all()
    assert len(none.found) == 0


def test_sensitivity_at_a_rate_of_false_positives_by_hand() -> None:
    found, false = np.array([0.95, 0.6, 0.3, -np.inf]), np.array([0.9, 0.5, 0.4, 0.2])
    assert sensitivity_at(found, false, n_slices=4, per_slice=0.0) == 0.25
    assert sensitivity_at(found, false, n_slices=4, per_slice=0.25) == 0.5
    assert sensitivity_at(found, false, n_slices=4, per_slice=0.75) == 0.75
    assert sensitivity_at(found, false, n_slices=4, per_slice=2.0) == 0.75  # one is never found
    assert np.isnan(sensitivity_at(np.zeros(0), false, 4))


def test_froc_of_slices_and_its_intervals() -> None:
    slices, found, true = _random_items(6)
    matches = match_slices(slices, found, true)
    assert len(matches.found) == len(true)
    curve = froc_curve(matches)
    assert np.all(np.diff(curve["sensitivity"]) >= 0)
    assert curve["sensitivity"][-1] == pytest.approx(np.isfinite(matches.found).mean())
    assert curve["false_positives"][-1] == pytest.approx(len(matches.false_score) / len(slices))
    sampling = Sampling(slices["patient_id"].to_numpy(), n_bootstrap=200)
    measured = sensitivity_estimates(matches, sampling)
    assert measured["1"].value == sensitivity_at(matches.found, matches.false_score, len(slices), 1)
    for own in measured.values():
        assert own.value is not None
        assert own.low is None or own.low <= own.value <= own.high
    rates = [measured[name].value for name in ("0.125", "0.25", "0.5", "1", "2", "4")]
    assert measured["mean"].value == pytest.approx(np.mean(rates))
    assert not sensitivity_estimates(match_slices(slices, found, true[:0]), sampling)["1"].defined
