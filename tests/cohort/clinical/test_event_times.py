"""Days to the outcome and to deterioration: from which date, to which date, and of which values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import clinical_tables as hospital
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covidlit.cohort.clinical import read_clinical_source
from covidlit.cohort.clinical.elapsed import days_between, is_before
from covidlit.cohort.clinical.own_table import mapping_of_own
from covidlit.datamodules.tables.clinical_rows import ClinicalRows, read_source, rows_of_source
from covidlit.errors import ManifestError


def moments(*texts: str | None) -> pd.Series:
    return pd.Series([pd.Timestamp(text) if text else pd.NaT for text in texts])


def test_whole_days_where_either_has_no_time_of_day() -> None:
    start = moments("2021-01-01 10:00", "2021-01-01", "2021-01-01 10:00", "2021-01-03 09:00", None)
    end = moments("2021-01-01", "2021-01-02 23:00", "2021-01-02 16:00", "2021-01-13", "2021-01-01")
    np.testing.assert_array_equal(days_between(start, end), [0, 1, 1.25, 10, np.nan])
    assert is_before(end, start).tolist() == [False] * 5


@given(st.datetimes(), st.datetimes())
def test_dates_alone_are_apart_by_the_calendar(a: Any, b: Any) -> None:
    try:
        one, other = pd.Timestamp(a).as_unit("ns"), pd.Timestamp(b).as_unit("ns")
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        return
    days = days_between(pd.Series([one]), pd.Series([other]).dt.normalize()).iloc[0]
    assert days == (b.date() - a.date()).days


def timed(left: list[str], admitted: str = "2020-02-01 10:00") -> pd.DataFrame:
    rows = [
        [f"P{k}", admitted, admitted, day, 50, 1, "dead", 13.5, 5000, 0.25, 0.5, 1.0]
        for k, day in enumerate(left)
    ]
    return hospital.frame(rows)


def test_a_death_on_the_day_of_admission_comes_after_0_days(tmp_path: Path) -> None:
    left = ["2020-02-01", "2020-02-01 08:00", "2020-02-01 22:00", "2020-02-11", "2020-02-11 10:00"]
    source = hospital.read(tmp_path, timed(left))
    assert source.patients["event_time_days"].tolist() == [0, 0, 0.5, 10, 10]


def test_an_outcome_before_the_first_date_has_no_time_and_is_told(tmp_path: Path) -> None:
    table = timed(["2020-01-20", "2020-02-05"]).drop(columns="Admitted")
    source = hospital.read(tmp_path, table)
    assert source.patients["event_time_days"].tolist() == [pytest.approx(np.nan, nan_ok=True), 4]
    assert any("1 patient with an outcome before their first date" in n for n in source.notes)


COURSE: dict[str, Any] = {
    "patient": "id", "date": "day", "index_date": "admitted", "outcome_date": "left",
    "severity": "now", "labs": {"leukocytes_1e9_per_l": {"names": "wbc", "unit": "10^9/L"}},
}  # fmt: skip
VISITS = [
    ("a", "2021-01-01", "mild", 6), ("a", "2021-01-04", "critical", 16),
    ("b", "2021-01-01", "mild", 5), ("b", "2021-01-05", "moderate", 7),
    ("c", "2021-01-02", "severe", 9), ("c", "2021-01-03", "critical", 11),
    ("d", "2021-01-01", "moderate", 4),
]  # fmt: skip
"""a was worse on the third day after admission; c was severe when it came; all left on day 30."""


def course(**columns: list[Any]) -> pd.DataFrame:
    table = pd.DataFrame(VISITS, columns=["id", "day", "now", "wbc"])
    return table.assign(**{"admitted": "2021-01-01", "left": "2021-01-31", **columns})


def rows_of(
    folder: Path, table: pd.DataFrame, mapping: dict[str, Any] | None = None, **options: Any
) -> ClinicalRows:
    path = folder / "course.csv"
    table.to_csv(path, index=False)
    arguments = {"index": "auto", "rule": "last", "window_days": (None, 5.0), **options}
    index = arguments.pop("index")
    source = read_source(path, COURSE if mapping is None else mapping, index)
    return rows_of_source(source, index, **arguments)


def test_the_first_severe_row_of_a_mild_admission_is_the_event(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, course(), label="progressed", timed=True)
    assert rows.patients["progressed"].tolist() == [True, False, pd.NA, False]
    assert rows.patients["event_time_days"].tolist() == [3, 30, 30, 30]
    # The value of the day on which a was found worse is no value before it.
    assert rows.values["leukocytes_1e9_per_l"].tolist() == [6, 7, 11, 4]
    died = rows_of(tmp_path, course(), label="outcome", timed=True)
    assert died.patients["event_time_days"].tolist() == [30, 30, 30, 30]
    assert died.values["leukocytes_1e9_per_l"].tolist() == [16, 7, 11, 4]


def test_severity_at_admission_comes_before_that_of_the_first_row(tmp_path: Path) -> None:
    mapping = {**COURSE, "severity_at_admission": "then"}
    table = course(then=["mild"] * 2 + ["moderate"] * 2 + ["mild"] * 2 + ["severe"])
    rows = rows_of(tmp_path, table, mapping, label="progressed", timed=True)
    assert rows.patients["progressed"].tolist() == [True, False, True, pd.NA]
    assert rows.patients["event_time_days"].tolist() == [3, 30, 1, 30]


def test_a_date_of_deterioration_of_its_own(tmp_path: Path) -> None:
    mapping = {**COURSE, "progressed_date": "worse", "severity": None}
    worse = ["2021-01-03 12:00"] * 2 + [None] * 5
    rows = rows_of(tmp_path, course(worse=worse), mapping, label="progressed", timed=True)
    assert rows.patients["progressed"].tolist() == [True, False, False, False]
    assert rows.patients["event_time_days"].tolist() == [2, 30, 30, 30]
    assert rows.values["leukocytes_1e9_per_l"].tolist()[0] == 6
    wrong = course(worse=["2021-02-20"] * 2 + [None] * 5)
    with pytest.raises(ManifestError, match=r"patient a deteriorated after the outcome"):
        rows_of(tmp_path, wrong, mapping)
    flagged = course(worse=worse, flag=["no"] * 7)
    with pytest.raises(ManifestError, match=r"patient a did not deteriorate, and has a date"):
        rows_of(tmp_path, flagged, {**mapping, "progressed": "flag"})


def test_what_covidlit_clinical_writes_keeps_the_date(tmp_path: Path) -> None:
    from covidlit.cohort.clinical import write_clinical

    (tmp_path / "own").mkdir()
    course().to_csv(tmp_path / "course.csv", index=False)
    source = read_clinical_source(tmp_path / "course.csv", COURSE)
    path = tmp_path / "own" / "clinical.csv"
    write_clinical(source.table.merge(source.dates, on="patient_id"), path)
    again = rows_of_source(
        read_clinical_source(path, mapping_of_own(path)), "auto", "last", (None, 5.0),
        "progressed", timed=True,
    )  # fmt: skip
    assert again.patients["event_time_days"].tolist() == [3, 30, 30, 30]
    assert again.values["leukocytes_1e9_per_l"].tolist() == [6, 7, 11, 4]


def test_deterioration_without_a_date_is_refused_and_no_time_to_discharge(tmp_path: Path) -> None:
    mapping = {**COURSE, "severity": None, "progressed": "flag"}
    table = course(flag=["yes"] * 2 + ["no"] * 5)
    with pytest.raises(ManifestError) as caught:
        rows_of(tmp_path, table, mapping, label="progressed", timed=True)
    for part in ("none of the 1 patients who deteriorated has a date", "discharge or death",
                 "progressed_date", "severity"):  # fmt: skip
        assert part in str(caught.value)
    # As a class it can be learnt, with a word on the dates.
    rows = rows_of(tmp_path, table, mapping, label="progressed")
    assert any("When patients deteriorated is not known" in line for line in rows.lines)
    # A severity that never changes was written down once and dates nothing.
    constant = {**mapping, "severity": "worst", "severity_at_admission": "then"}
    table = table.assign(worst=["critical"] * 2 + ["mild"] * 5, then="mild")
    with pytest.raises(ManifestError, match="none of the 1 patients who deteriorated has a date"):
        rows_of(tmp_path, table, constant, label="progressed", timed=True)
    # Days that the source counts itself, and not to the discharge, are taken.
    days = {**mapping, "event_time_days": "days"}
    table = table.assign(days=[4, 4, 30, 30, 30, 30, 30])
    found = rows_of(tmp_path, table, days, label="progressed", timed=True)
    assert found.patients["event_time_days"].tolist() == [4, 30, 30, 30]


ICU = pd.DataFrame(
    {
        "patient_id": ["a", "a", "b"],
        "date": ["2021-01-01", "2021-01-06", "2021-01-02"],
        "leukocytes_1e9_per_l": [5.0, 9.0, 7.0],
        "index_date": ["2021-01-01", "2021-01-01", "2021-01-02"],
        "outcome_date": ["2021-01-11", "2021-01-11", "2021-01-12"],
        "event_time_days": [10.0, 10.0, 10.0],
        "icu_date": ["2021-01-06", "2021-01-06", "2021-01-04"],
        "outcome": ["died", "died", "survived"],
    }
)


@pytest.mark.parametrize(
    ("index", "days"), [("auto", [10, 10]), ("first_measurement", [10, 10]), ("icu_date", [5, 8])]
)
def test_times_move_with_the_index(tmp_path: Path, index: str, days: list[float]) -> None:
    ICU.to_csv(tmp_path / "icu.csv", index=False)
    rows = rows_of_source(read_source(tmp_path / "icu.csv", None, index), index, "last", (None, 0))
    assert rows.patients["event_time_days"].tolist() == days


def test_times_that_cannot_move_with_the_index_are_refused(tmp_path: Path) -> None:
    ICU.drop(columns="outcome_date").to_csv(tmp_path / "icu.csv", index=False)
    source = read_source(tmp_path / "icu.csv", None, "icu_date")
    with pytest.raises(ManifestError, match=r"index=icu_date.*outcome_date in the mapping"):
        rows_of_source(source, "icu_date", "last", (None, 0), timed=True)
    # Nobody asks for them.
    rows = rows_of_source(source, "icu_date", "last", (None, 0))
    assert rows.patients["event_time_days"].isna().all()
    ICU.assign(outcome_date=["2021-01-11", "2021-01-11", None]).to_csv(
        tmp_path / "icu.csv", index=False
    )
    source = read_source(tmp_path / "icu.csv", None, "icu_date")
    rows = rows_of_source(source, "icu_date", "last", (None, 0), timed=True)
    assert rows.patients["event_time_days"].tolist() == [5, pytest.approx(np.nan, nan_ok=True)]
    assert any("1 patient without a date of the outcome" in line for line in rows.lines)
