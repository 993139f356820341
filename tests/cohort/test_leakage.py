import numpy as np
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
    with pytest.raises(LeakageError, match=r"leak in 12 places.*and 7 more"):
        check_leakage(
            manifest, split, {f"S{i:02d}": str(i % 12) for i in [*range(12), *range(36, 48)]}
        )


def test_the_same_study_of_two_patient_ids_is_found(manifest: pd.DataFrame, split: Split) -> None:
    """Two kernels of one acquisition: another series, other pixels, the same study."""
    studies = [f"1.3.{i}" for i in range(48)]
    check_leakage(manifest.assign(study_uid=studies), split)
    studies[40] = studies[2]
    with pytest.raises(LeakageError, match=r"the same study in row 3 .*row 41 \(scan S40, test\)"):
        check_leakage(manifest.assign(study_uid=studies), split)
    # What is not known is not the same.
    check_leakage(manifest.assign(study_uid=None), split)
    check_leakage(manifest.assign(study_uid=""), split)


@pytest.mark.parametrize(
    "written", ["p00", " P00", "P00 ", "P 00", "P\u00a000", "Ｐ００", "P00\u200b", "P00\x00"]
)
def test_a_patient_written_in_another_way_is_the_same(
    manifest: pd.DataFrame, split: Split, written: str
) -> None:
    manifest.loc[47, "patient_id"] = written
    with pytest.raises(LeakageError, match=r"the same patient written as 'P00', .* in row 1 "):
        check_leakage(manifest, split)


@pytest.mark.parametrize("column", ["study_uid", "series_uid"])
@pytest.mark.parametrize("written", ["1.2.3 ", " 1.2.3", "1.2.3\x00", "1.2.3\t"])
def test_padding_does_not_make_another_uid(
    manifest: pd.DataFrame, split: Split, column: str, written: str
) -> None:
    manifest[column] = [f"9.{row}" for row in range(len(manifest))]
    manifest.loc[0, column], manifest.loc[47, column] = "1.2.3", written
    with pytest.raises(LeakageError, match=f"the same {column[:-4]}"):
        check_leakage(manifest, split)


@pytest.mark.parametrize(("one", "other"), [("00123", "123"), ("123", "123.0"), ("0", "00")])
def test_leading_zeros_that_may_be_lost_are_a_suspicion(
    manifest: pd.DataFrame, split: Split, one: str, other: str
) -> None:
    manifest.loc[[0, 1], "patient_id"], manifest.loc[[46, 47], "patient_id"] = one, other
    ((kind, text),) = check_leakage(manifest, split)
    assert kind == "patient ids alike"
    assert f"{one!r}, {other!r} in row 1 (scan S00, " in text
    assert "row 47 (scan S46, test)" in text
    # Within one part it is no leak, and other numbers are other patients.
    manifest.loc[[46, 47], "patient_id"] = "1230"
    manifest.loc[[44, 45], "patient_id"] = "01230"
    assert check_leakage(manifest, split) == []


def test_near_copies_are_a_suspicion(manifest: pd.DataFrame, split: Split) -> None:
    rng = np.random.default_rng(0)
    volumes = rng.integers(-1000, 400, (48, 8, 8, 8)).astype(np.int16)
    thumbnails = {f"S{i:02d}": volume for i, volume in enumerate(volumes)}
    assert check_leakage(manifest, split, thumbnails=thumbnails) == []
    thumbnails["S40"] = np.flip(thumbnails["S02"], 1) + np.int16(1)
    del thumbnails["S47"]  # a refused scan has none
    ((kind, text),) = check_leakage(manifest, split, thumbnails=thumbnails)
    assert kind == "near copies"
    assert "Scan S02 (row 3, " in text
    assert "scan S40 (row 41, test)" in text
    assert "differ by 1.0 HU" in text
