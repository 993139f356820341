"""Two and more scans of one patient: alignment, lesions that come, go, merge and split, dates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from covidlit.errors import CovidlitError
from covidlit.lesions import LesionLabels, tracking_uid, validate_factors, validate_lesions
from covidlit.lesions.changes import Change, lesion_changes
from covidlit.lesions.registration import align_lungs
from covidlit.lesions.trend import changes_table, changes_text, trend_table, with_changes

Ball = tuple[tuple[float, float, float], float]


def scanned(
    balls: list[Ball],
    spacing: tuple[float, float, float] = (4.0, 3.0, 3.0),
    motion: np.ndarray | None = None,
    breath: float = 1.0,
) -> LesionLabels:
    """Lungs without symmetry and lesions (LPS mm x, y, z; radius) of a patient who has moved.

    Args:
        motion: LPS mm of this scan to the patient's own.
        breath: how far the lungs' lower half reaches.
    """
    shape = tuple(int(d / s) for d, s in zip((300, 240, 320), spacing, strict=True))
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[:3, 3] = [-160.0, -120.0, -150.0]
    affine[3, 3] = 1
    whole = affine if motion is None else motion @ affine
    index = np.indices(shape).reshape(3, -1)
    x, y, z = (whole[:3, :3] @ index + whole[:3, 3:]).reshape(3, *shape)
    z = np.where(z < 0, z / breath, z)
    classes = np.zeros(shape, np.uint8)
    for side, width, top in ((-1, 52, 115.0), (1, 44, 100.0)):
        lung = ((x - side * 68) / width) ** 2 + (y / 80) ** 2 + (z / top) ** 2 < 1
        classes[lung & (((x - 25) / 50) ** 2 + ((y + 30) / 45) ** 2 + ((z + 40) / 50) ** 2 > 1)] = 1
    instances = np.zeros(shape, np.int32)
    for number, (centre, radius) in enumerate(balls, start=1):
        away = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
        inside = (away < radius) & (classes > 0) & (instances == 0)
        classes[inside], instances[inside] = 3, number
    return LesionLabels(classes, instances, affine)


def moved(degrees: tuple[float, float, float], by: tuple[float, float, float]) -> np.ndarray:
    out = np.eye(4)
    out[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    out[:3, 3] = by
    return out


A: Ball = ((-80.0, 20.0, 30.0), 14.0)
B: Ball = ((70.0, 30.0, -20.0), 12.0)
C: Ball = ((-70.0, -10.0, -40.0), 10.0)


@pytest.mark.parametrize(
    ("degrees", "by"),
    [((0, 0, 0), (0, 0, 0)), ((8, -5, 6), (12, -9, 25)), ((-4, 9, -12), (-20, 5, 8))],
)
def test_lungs_are_laid_on_each_other(
    degrees: tuple[float, float, float], by: tuple[float, float, float]
) -> None:
    motion = moved(degrees, by)
    fixed, moving = scanned([]), scanned([], (5.0, 2.5, 2.5), motion)
    found = align_lungs(fixed.classes, fixed.affine, moving.classes, moving.affine)
    # `motion` takes the moving scan's mm to the patient's, which are the fixed scan's.
    corners = np.array([[-100, -60, -80], [100, 60, 80], [-90, 70, 60], [80, -70, -60.0]])
    apart = np.linalg.norm(((found - motion) @ np.c_[corners, np.ones(4)].T)[:3], axis=0)
    assert apart.max() < 2.0


@pytest.mark.parametrize("cut", [(10, 0), (0, 15), (12, 8)])
def test_where_a_scan_ends_is_no_border_of_the_lung(cut: tuple[int, int]) -> None:
    whole = scanned([])
    low, high = cut
    classes = whole.classes[low : len(whole.classes) - high]
    affine = whole.affine.copy()
    affine[:3, 3] += low * affine[:3, 0]
    corners = np.c_[[[-100, -60, -80], [100, 60, 80], [-90, 70, 60]], np.ones(3)].T
    for pair in (
        (whole.classes, whole.affine, classes, affine),
        (classes, affine, whole.classes, whole.affine),
    ):
        apart = np.linalg.norm((align_lungs(*pair) @ corners - corners)[:3], axis=0)
        assert apart.max() < 0.3, "the patient has not moved"


def test_without_a_lung_nothing_is_aligned() -> None:
    one = scanned([A])
    with pytest.raises(CovidlitError, match="no lung to align"):
        align_lungs(one.classes, one.affine, np.zeros((4, 4, 4), np.uint8), np.eye(4))


def kinds(changes: list[Change]) -> dict[tuple[tuple[int, ...], tuple[int, ...]], str]:
    return {(change.before, change.after): change.kind for change in changes}


def test_new_gone_grown_shrunk_and_unchanged() -> None:
    motion = moved((5, -3, 4), (10, -6, 14))
    before = scanned([A, B, C])
    after = scanned([(A[0], 20.0), ((75.0, -20.0, 30.0), 9.0), (B[0], 12.0)], motion=motion)
    found = lesion_changes(before, after)
    assert kinds(found) == {
        ((1,), (1,)): "grown",
        ((2,), (3,)): "unchanged",
        ((3,), ()): "gone",
        ((), (2,)): "new",
    }
    grown = found[0]
    assert grown.volume_before_ml == pytest.approx(4 / 3 * np.pi * 14**3 / 1000, rel=0.05)
    assert grown.volume_after_ml == pytest.approx(4 / 3 * np.pi * 20**3 / 1000, rel=0.05)
    back = kinds(lesion_changes(after, before))
    assert back[(1,), (1,)] == "shrunk"
    assert back[(2,), ()] == "gone"
    assert back[(), (3,)] == "new"


def test_merged_and_split() -> None:
    two = [((-80.0, 20.0, 45.0), 11.0), ((-80.0, 20.0, 17.0), 9.0), B]
    one = [((-80.0, 20.0, 31.0), 25.0), B]
    found = kinds(lesion_changes(scanned(two), scanned(one)))
    assert found[(1, 2), (1,)] == "merged"
    assert found[(3,), (2,)] == "unchanged"
    found = kinds(lesion_changes(scanned(one), scanned(two)))
    assert found[(1,), (1, 2)] == "split"
    assert len(found) == 2


def test_another_breath_does_not_make_other_lesions() -> None:
    found = kinds(lesion_changes(scanned([A, B, C]), scanned([A, B, C], breath=1.15)))
    assert set(found) == {((1,), (1,)), ((2,), (2,)), ((3,), (3,))}


def test_scans_without_lesions() -> None:
    assert lesion_changes(scanned([]), scanned([])) == []
    assert kinds(lesion_changes(scanned([]), scanned([A]))) == {((), (1,)): "new"}
    assert kinds(lesion_changes(scanned([A]), scanned([]))) == {((1,), ()): "gone"}


def factors(*rows: tuple[str, str, str | None, float]) -> pd.DataFrame:
    names = ["patient_id", "scan_id", "acquisition_date", "total_volume_ml"]
    table = pd.DataFrame(rows, columns=names)
    for name in (
        "mean_volume_ml", "proportion_percent", "max_diameter_3d_mm", "max_diameter_2d_mm",
        "mean_density_hu", "edge_clarity_hu_per_mm", "pleural_distance_mm", "form",
        "volume_change_ml",
    ):  # fmt: skip
        table[name] = np.nan
    table["n_lesions"] = 1
    table["lung_volume_ml"] = [4000.0, 2900.0, *[4000.0] * (len(rows) - 2)][: len(rows)]
    return validate_factors(table)


def test_changes_follow_the_dates_whatever_the_rows() -> None:
    table = with_changes(
        factors(
            ("P1", "S3", "2020-02-20", 50.0),
            ("P2", "T1", "2020-02-01", 7.0),
            ("P1", "S1", "2020-02-01", 80.0),
            ("P1", "S2", "2020-02-10", 130.0),
        )
    )
    change = table.set_index("scan_id")["volume_change_ml"]
    assert change["S2"] == 50
    assert change["S3"] == -80
    assert change[["S1", "T1"]].isna().all()


def test_two_scans_on_one_day_and_a_scan_without_date() -> None:
    table = factors(
        ("P1", "S1", "2020-02-01", 80.0),
        ("P1", "S2", "2020-02-01", 90.0),
        ("P1", "S3", "2020-02-09", 185.0),
        ("P1", "S4", None, 10.0),
    )
    trend = trend_table(table).set_index("scan_id")
    assert trend["volume_change_ml"].isna()[["S1", "S2", "S4"]].all()
    assert trend.loc["S3", "volume_change_ml"] == 100  # from the day's mean
    assert trend.loc["S3", "volume_change"] == "more"
    assert trend.loc["S1", "note"] == trend.loc["S2", "note"] == "another scan on this day"
    assert trend.loc["S4", "note"] == "no date: not in the trend"
    assert trend["days"].tolist()[:3] == [0, 0, 8]
    assert pd.isna(trend.loc["S4", "days"])


def test_a_small_change_is_none_and_another_lung_volume_is_said() -> None:
    trend = trend_table(
        factors(("P1", "S1", "2020-02-01", 80.0), ("P1", "S2", "2020-02-09", 84.0))
    ).set_index("scan_id")
    assert trend.loc["S2", "volume_change"] == "within limits"
    assert trend.loc["S2", "lung_volume_change"] == "less"
    assert trend.loc["S2", "mean_density_change"] == "undefined"
    assert pd.isna(trend.loc["S1", "volume_change"])


def test_a_lesion_keeps_its_identifier_over_the_studies() -> None:
    volumes = {"S1": scanned([A, B]), "S2": scanned([B, (A[0], 20.0)]), "S3": scanned([A])}
    trend = trend_table(
        factors(
            ("P1", "S1", "2020-02-01", 18.0),
            ("P1", "S2", "2020-02-09", 40.0),
            ("P1", "S3", "2020-02-19", 11.0),
        )
    )
    rows = [("S1", 1, 11.0), ("S1", 2, 7.0), ("S2", 1, 7.0), ("S2", 2, 33.0), ("S3", 1, 11.0)]
    lesions = pd.DataFrame(rows, columns=["scan_id", "lesion_id", "volume_ml"])
    lesions["patient_id"], lesions["class_name"] = "P1", "ground_glass"
    lesions["tracking_uid"] = [tracking_uid(scan, n) for scan, n, _ in rows]
    changes, tracked = changes_table(trend, validate_lesions(lesions), volumes.__getitem__)
    uid = tracked.set_index(["scan_id", "lesion_id"])["tracking_uid"]
    assert uid["S2", 2] == uid["S1", 1] == uid["S3", 1] == tracking_uid("S1", 1)
    assert uid["S2", 1] == uid["S1", 2] == tracking_uid("S1", 2)
    assert changes.groupby("scan_after")["change"].apply(sorted).to_dict() == {
        "S2": ["grown", "unchanged"],
        "S3": ["gone", "shrunk"],
    }


def test_lesions_of_others_without_identifiers_get_one() -> None:
    """Contract 8 does not ask for a `tracking_uid`."""
    one, two = scanned([A, B]), scanned([A, B])
    table = factors(("P", "S1", "2020-01-01", 10.0), ("P", "S2", "2020-01-05", 10.0))
    rows = [
        {"patient_id": "P", "scan_id": scan, "lesion_id": number, "class_name": "ground_glass",
         "volume_ml": 5.0}
        for scan in ("S1", "S2")
        for number in (1, 2)
    ]  # fmt: skip
    lesions = validate_lesions(pd.DataFrame(rows))
    labels = {"S1": one, "S2": two}
    _, tracked = changes_table(trend_table(table), lesions, labels.__getitem__)
    first, second = (tracked[tracked["scan_id"] == scan]["tracking_uid"] for scan in labels)
    assert first.tolist() == second.tolist()
    assert first.nunique() == 2


def test_new_and_gone_lesions_are_held_against_the_limits_of_the_total() -> None:
    small, large = (A[0], 4.0), (B[0], 20.0)  # 0.3 and 34 mL
    volumes = {"S1": scanned([small]), "S2": scanned([large])}
    table = factors(("P", "S1", "2020-01-01", 0.3), ("P", "S2", "2020-01-05", 34.0))
    rows = [("S1", 1, 0.3), ("S2", 1, 34.0)]
    lesions = pd.DataFrame(rows, columns=["scan_id", "lesion_id", "volume_ml"])
    lesions["patient_id"], lesions["class_name"] = "P", "ground_glass"
    changes, _ = changes_table(trend_table(table), validate_lesions(lesions), volumes.__getitem__)
    said = changes.set_index("change")["by_limits_of_total"].to_dict()
    assert said == {"gone": "within limits", "new": "more"}
    assert changes_text(changes) in (
        "1 gone (within limits), 1 new", "1 new, 1 gone (within limits)",
    )  # fmt: skip
    again = pd.concat([changes, changes.assign(by_limits_of_total="less")])
    assert "2 gone (1 of them within limits)" in changes_text(again)
