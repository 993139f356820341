"""Factors of scans that are hard to measure: each with a clear result or a clear error."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.ndimage
from scipy.spatial.distance import pdist

from covidlit.lesions import (
    DEFINITIONS,
    FACTORS,
    LabelError,
    LesionLabels,
    definitions_markdown,
    number_lesions,
    quantify_labels,
    tracking_uid,
    validate_factors,
    validate_lesions,
)
from covidlit.scans.scan import Scan

SPACING = (2.0, 1.0, 1.0)
SHAPE = (24, 40, 60)


def affine(spacing: tuple[float, float, float] = SPACING) -> np.ndarray:
    out = np.zeros((4, 4))
    out[[2, 1, 0], [0, 1, 2]] = spacing
    out[:3, 3] = [-30.0, 5.0, 100.0]
    out[3, 3] = 1
    return out


def empty() -> np.ndarray:
    """Two lungs, boxes that do not touch the border."""
    classes = np.zeros(SHAPE, np.uint8)
    classes[2:20, 5:35, 4:26] = 1
    classes[2:20, 5:35, 34:56] = 1
    return classes


def quantified(classes: np.ndarray, hu: np.ndarray | None = None, **more: object):
    if hu is None:
        hu = np.select([classes == 0, classes == 1], [40, -850], -400).astype(np.int16)
    labels = LesionLabels(classes, number_lesions(classes), affine())
    return quantify_labels(Scan(hu, affine(), "1.2.3"), labels, **more)  # type: ignore[arg-type]


def valid(factors) -> tuple[pd.Series, pd.DataFrame]:
    """The row and the lesions as contract 8 has them."""
    table = validate_factors(pd.DataFrame([factors.scan]))
    return table.iloc[0], validate_lesions(factors.lesions)


def test_without_a_lesion_only_what_is_defined_is_there() -> None:
    row, lesions = valid(quantified(empty()))
    assert (row["n_lesions"], row["total_volume_ml"], row["proportion_percent"]) == (0, 0, 0)
    assert row[["mean_volume_ml", "mean_density_hu", "form", "pleural_distance_mm"]].isna().all()
    assert lesions.empty
    assert {"lesion_id", "class_name", "volume_ml", "tracking_uid"} <= set(lesions.columns)
    assert row["lung_volume_ml"] == pytest.approx(2 * 18 * 30 * 22 * 2 / 1000)


def test_without_a_lung_shares_and_distances_are_undefined() -> None:
    classes = np.zeros(SHAPE, np.uint8)
    row, _ = valid(quantified(classes))
    assert pd.isna(row["proportion_percent"])
    assert row["total_volume_ml"] == 0
    classes[5:10, 10:20, 10:20] = 3  # a mask of lesions alone
    row, lesions = valid(quantified(classes))
    assert row["total_volume_ml"] == 1.0
    assert row[["proportion_percent", "pleural_distance_mm", "edge_clarity_hu_per_mm"]].isna().all()
    assert pd.isna(lesions["pleural_distance_mm"]).all()
    assert row["form"] > 0.7


def test_one_voxel() -> None:
    classes = empty()
    classes[10, 20, 15] = 2
    row, lesions = valid(quantified(classes))
    only = lesions.iloc[0]
    assert only["volume_ml"] == pytest.approx(0.002)
    assert only["max_diameter_3d_mm"] == 2.0  # from face to face
    assert only["max_diameter_2d_mm"] == 1.0
    assert only["density_sd_hu"] == 0
    assert pd.isna(only["form"])
    assert only["pleural_distance_mm"] == 10  # ten voxels of lung lie between it and the side
    assert row["n_lesions"] == 1
    assert [only[f"centre_{axis}_mm"] for axis in "xyz"] == pytest.approx([-15, 25, 120])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_lesion_in_one_plane(axis: int) -> None:
    classes = empty()
    box = [slice(6, 16), slice(10, 20), slice(8, 18)]
    box[axis] = slice(11, 12)
    classes[tuple(box)] = 3
    only = valid(quantified(classes))[1].iloc[0]
    sizes = np.array([(part.stop - part.start) for part in box])
    step = np.array(SPACING)
    along = (sizes - 1) * step
    best = max((along + np.eye(3)[k] * step) @ (along + np.eye(3)[k] * step) for k in range(3))
    assert only["max_diameter_3d_mm"] == pytest.approx(np.sqrt(best))


def test_labels_of_another_geometry_are_refused() -> None:
    classes = empty()
    labels = LesionLabels(classes, number_lesions(classes), affine())
    scan = Scan(np.zeros(SHAPE, np.int16), affine(), "1.2.3")
    cut = LesionLabels(classes[1:], number_lesions(classes[1:]), affine())
    with pytest.raises(LabelError, match=r"1.2.3: the labels have \(23, 40, 60\) voxels"):
        quantify_labels(scan, cut)
    moved = affine()
    moved[2, 3] += 2
    with pytest.raises(LabelError, match=r"up to 2\.00 mm apart"):
        quantify_labels(scan, LesionLabels(classes, labels.instances, moved))
    stretched = affine((2.01, 1.0, 1.0))
    with pytest.raises(LabelError, match=r"up to 0.23 mm apart"):
        quantify_labels(scan, LesionLabels(classes, labels.instances, stretched))


def test_an_unknown_class_is_refused() -> None:
    classes = empty()
    classes[5, 5, 5] = 9
    with pytest.raises(LabelError, match="value 9: must be 0"):
        LesionLabels(classes, number_lesions(classes), affine())


@pytest.mark.parametrize("where", [(0, 0, 0), (23, 39, 59)])
def test_a_lesion_at_the_border_of_the_volume(where: tuple[int, int, int]) -> None:
    classes = np.ones(SHAPE, np.uint8)
    box = tuple(slice(max(0, at - 5), at + 6) for at in where)
    classes[box] = 3
    hu = np.where(classes == 3, -400, -850).astype(np.int16)
    only = valid(quantified(classes, hu))[1].iloc[0]
    assert only["volume_ml"] == pytest.approx(6**3 * 2 / 1000)
    assert pd.isna(only["pleural_distance_mm"])  # the lung goes on beyond the image
    assert only["edge_clarity_hu_per_mm"] > 50
    assert 0.6 < only["form"] <= 1


def test_touching_lesions_are_measured_apart() -> None:
    classes = empty()
    classes[6:10, 10:20, 8:14] = 2
    classes[6:10, 10:20, 14:20] = 3
    row, lesions = valid(quantified(classes))
    assert lesions["volume_ml"].tolist() == pytest.approx([0.48, 0.48])
    assert set(lesions["class_name"]) == {"consolidation", "ground_glass"}
    assert row["consolidation_volume_ml"] == pytest.approx(0.48)
    assert row["fibrosis_volume_ml"] == 0


def test_sides_and_zones_add_up() -> None:
    classes = empty()
    classes[3:5, 10:20, 8:18] = 3  # right, below: 200 voxels
    classes[17:19, 10:20, 40:45] = 2  # left, above: 100 voxels
    row, lesions = valid(quantified(classes))
    by_class = lesions.set_index("class_name")
    assert by_class.loc["ground_glass", ["side", "zone"]].tolist() == ["right", "lower"]
    assert by_class.loc["consolidation", ["side", "zone"]].tolist() == ["left", "upper"]
    lung, third = 18 * 30 * 22, 2 * 6 * 30 * 22
    assert row["right_proportion_percent"] == pytest.approx(100 * 200 / lung)
    assert row["left_proportion_percent"] == pytest.approx(100 * 100 / lung)
    assert row["lower_proportion_percent"] == pytest.approx(100 * 200 / third)
    assert row["middle_proportion_percent"] == 0
    assert row["upper_proportion_percent"] == pytest.approx(100 * 100 / third)
    assert row["right_lung_volume_ml"] == row["left_lung_volume_ml"] == lung * 2 / 1000
    assert row["proportion_percent"] == pytest.approx(100 * 300 / (2 * lung))


def test_a_sheared_scan_has_the_volume_of_its_determinant() -> None:
    classes = empty()
    classes[6:10, 10:20, 8:18] = 3
    tilted = affine()
    tilted[1, 0] = 2 * np.tan(np.radians(18.5))
    labels = LesionLabels(classes, number_lesions(classes), tilted)
    factors = quantify_labels(Scan(np.zeros(SHAPE, np.int16), tilted), labels)
    assert factors.scan["total_volume_ml"] == pytest.approx(0.8)


def test_random_lesions_agree_with_scipy() -> None:
    rng = np.random.default_rng(4)
    classes = empty()
    blobs = scipy.ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1.6)
    classes[(classes == 1) & (blobs > 0.11)] = 3
    hu = np.where(classes == 0, 40, rng.integers(-900, -300, SHAPE)).astype(np.int16)
    instances = number_lesions(classes)
    _, lesions = valid(quantified(classes, hu))
    assert len(lesions) == instances.max() > 10
    gap = scipy.ndimage.distance_transform_edt(
        ~scipy.ndimage.binary_dilation(classes == 0, np.ones((3, 3, 3))), sampling=SPACING
    )
    for row in lesions.itertuples():
        mask = instances == row.lesion_id
        assert row.volume_ml == pytest.approx(mask.sum() * 0.002)
        assert row.mean_density_hu == pytest.approx(hu[mask].mean())
        assert row.density_sd_hu == pytest.approx(hu[mask].std())
        assert row.pleural_distance_mm == pytest.approx(gap[mask].min(), abs=0.75)
        assert row.pleural_distance_mm >= gap[mask].min() - 1e-4
        at = np.argwhere(mask) * SPACING
        ends = np.concatenate(
            [at + s * np.eye(3)[k] * SPACING[k] / 2 for k in range(3) for s in (-1, 1)]
        )
        assert row.max_diameter_3d_mm == pytest.approx(pdist(ends).max())
        flat = max(
            pdist(
                np.concatenate(
                    [
                        at[at[:, 0] == z][:, 1:] + s * np.eye(2)[k] / 2
                        for k in (0, 1)
                        for s in (-1, 1)
                    ]
                )
            ).max()
            for z in np.unique(at[:, 0])
        )
        assert row.max_diameter_2d_mm == pytest.approx(flat)
        centre = at.mean(axis=0)
        assert row.centre_z_mm == pytest.approx(centre[0] + 100)
        assert row.centre_x_mm == pytest.approx(centre[2] - 30)


def test_a_scan_without_date_is_measured_all_the_same() -> None:
    classes = empty()
    classes[6:10, 10:20, 8:18] = 3
    row, _ = valid(quantified(classes, patient_id="P1", scan_id="S9"))
    assert (row["patient_id"], row["scan_id"]) == ("P1", "S9")
    assert pd.isna(row["acquisition_date"])
    row, _ = valid(quantified(classes, acquisition_date="2020-02-01"))
    assert row["acquisition_date"] == pd.Timestamp(2020, 2, 1)
    assert row["scan_id"].startswith("S")


def test_tracking_uids_are_uids_and_the_same_again() -> None:
    one = tracking_uid("1.2.3", 1)
    assert one == tracking_uid("1.2.3", 1)
    assert one not in (tracking_uid("1.2.3", 2), tracking_uid("1.2.31", 1))
    assert one != tracking_uid("1.2.3", 1, "drawn by another")
    assert one.startswith("2.25.")
    assert len(one) <= 64
    assert one[5:].isdigit()


def test_every_factor_is_defined() -> None:
    assert [each.column for each in DEFINITIONS] == list(FACTORS)
    text = definitions_markdown()
    for name in FACTORS:
        assert f"(`{name}`" in text


def test_what_another_draws_under_the_same_number_is_another_lesion() -> None:
    drawn, moved = empty(), empty()
    drawn[6:10, 10:20, 8:18] = 3
    moved[6:10, 10:20, 9:19] = 3
    uids = [
        valid(quantified(classes, scan_id="S9"))[1]["tracking_uid"].iloc[0]
        for classes in (drawn, drawn, moved)
    ]
    assert uids[0] == uids[1] != uids[2]
