import pandas as pd
import pytest

from covidlit.cohort import Split, centre_held_out, check_leakage
from covidlit.errors import LeakageError


@pytest.fixture
def split(manifest: pd.DataFrame) -> Split:
    return centre_held_out(manifest, "centre_4")


def test_an_honest_split_passes(manifest: pd.DataFrame, split: Split) -> None:
    check_leakage(manifest, split)
    check_leakage(manifest, split, {scan: f"hash of {scan}" for scan in manifest["scan_id"]})
    # Twice the same pixels within one part is no leak.
    check_leakage(manifest, split, {"S46": "same", "S47": "same"})


def test_a_patient_in_two_parts_is_named(manifest: pd.DataFrame, split: Split) -> None:
    manifest.loc[47, "patient_id"] = "P00"
    with pytest.raises(LeakageError) as caught:
        check_leakage(manifest, split)
    message = str(caught.value)
    assert "the same patient P00 in row 1 (scan S00, " in message
    assert "row 48 (scan S47, test)" in message
    assert "Fix: " in message


def test_the_same_pixels_under_another_name_are_found(manifest: pd.DataFrame, split: Split) -> None:
    with pytest.raises(LeakageError, match=r"the same pixels in row 3 .*row 41 \(scan S40, test\)"):
        check_leakage(manifest, split, {"S02": "same", "S40": "same", "S41": "other"})


def test_the_same_series_in_two_parts_is_found(manifest: pd.DataFrame, split: Split) -> None:
    manifest.loc[40, "series_uid"] = manifest.loc[2, "series_uid"]
    with pytest.raises(LeakageError, match=r"the same series in row 3 .*row 41"):
        check_leakage(manifest, split)


def test_rows_keep_their_numbers_in_a_selection(manifest: pd.DataFrame, split: Split) -> None:
    manifest.loc[47, "patient_id"] = "P00"
    with pytest.raises(LeakageError, match=r"row 1 .*row 48 "):
        check_leakage(manifest[manifest["scan_id"] != "S20"], split)


def test_scans_outside_the_split_do_not_count(manifest: pd.DataFrame, split: Split) -> None:
    extra = manifest.iloc[:1].assign(scan_id="extra", patient_id="P23")
    check_leakage(
        pd.concat([manifest, extra], ignore_index=True), split, {"extra": "x", "S00": "x"}
    )


def test_many_leaks_are_counted_and_some_shown(manifest: pd.DataFrame, split: Split) -> None:
    with pytest.raises(LeakageError, match=r"leak in 12 place\(s\).*and 7 more"):
        check_leakage(
            manifest, split, {f"S{i:02d}": str(i % 12) for i in [*range(12), *range(36, 48)]}
        )
