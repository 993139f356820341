"""Clinical rows and scans by patient and date."""

from __future__ import annotations

import pandas as pd
import pytest

from covidlit.cohort.clinical import join_by_date
from covidlit.errors import ManifestError


def clinical() -> pd.DataFrame:
    days = pd.to_datetime(["2020-02-10T14:00", *["2020-02-10"] * 3], format="ISO8601")
    return pd.DataFrame({"patient_id": ["A", "b ", "C", "D"], "index_date": days})


def scans() -> pd.DataFrame:
    rows = [
        ("A", "A1", "2020-02-08", 1.0), ("A", "A2", "2020-02-09", 2.0),
        ("A", "A3", "2020-02-11", 3.0),  # later than the index
        ("B", "B1", "2020-02-01", 4.0),  # nine days before
        ("C", "C1", "2020-02-12", 5.0), ("E", "E1", "2020-02-10", 6.0),
        ("D", "D1", None, 7.0),
    ]  # fmt: skip
    found = pd.DataFrame(rows, columns=["patient_id", "scan_id", "acquisition_date", "volume"])
    return found.assign(acquisition_date=pd.to_datetime(found["acquisition_date"]))


def test_the_nearest_scan_that_is_not_later() -> None:
    joined = join_by_date(clinical(), scans())
    assert joined.table["scan_id"].fillna("").tolist() == ["A2", "", "", ""]
    assert joined.table["scan_days"].tolist()[0] == -1
    assert (joined.n_without, joined.n_left) == (3, 6)
    assert "3 of 4 clinical rows have no scans" in joined.lines[0]
    assert "6 of 7 rows of scans" in joined.lines[1]
    assert "1 have no date" in joined.lines[1]


def test_wider_windows() -> None:
    joined = join_by_date(clinical(), scans(), tolerance_days=10, latest_days=2)
    # Of two scans a day away the earlier counts.
    assert joined.table["scan_id"].fillna("").tolist() == ["A2", "B1", "C1", ""]
    assert joined.table["volume"].tolist()[:3] == [2, 4, 5]
    shuffled = join_by_date(
        clinical(), scans().sample(frac=1, random_state=0), tolerance_days=10, latest_days=2
    )
    pd.testing.assert_frame_equal(joined.table, shuffled.table)


def test_what_cannot_be_joined() -> None:
    with pytest.raises(ManifestError, match="A1 stands twice"):
        join_by_date(clinical(), pd.concat([scans(), scans()]))
    with pytest.raises(ManifestError, match="no patient of scans is in the clinical table"):
        join_by_date(clinical(), scans().assign(patient_id="Z"))
    zeros = scans().assign(patient_id="007")
    with pytest.raises(ManifestError, match="leading zeros"):
        join_by_date(clinical().assign(patient_id=["7", "8", "9", "10"]), zeros)
