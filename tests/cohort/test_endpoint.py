"""The label rule of an endpoint in time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from covidlit.cohort.endpoint import Endpoint
from covidlit.errors import ManifestError

TABLE = pd.DataFrame(
    {
        "patient_id": list("abcdefg"),
        "outcome": ["died", "survived", "transferred", "died", None, "died", "survived"],
        "event_time_days": [3.0, 10.0, 4.0, 30.0, 5.0, np.nan, -2.0],
    }
)


def test_events_censoring_and_what_is_left_out() -> None:
    found = Endpoint("outcome", ["died"]).explain(TABLE)
    assert found["target"].tolist() == [1, 0, 0, 1, pd.NA, pd.NA, pd.NA]
    assert found["reason"].dropna().tolist() == [
        "no outcome", "no event_time_days", "a negative event_time_days",
    ]  # fmt: skip


def test_a_horizon_ends_the_follow_up_of_all() -> None:
    rule = Endpoint("outcome", ["died"], horizon=7)
    assert rule.apply(TABLE).tolist()[:4] == [1, 0, 0, 0]
    assert rule.follow_up(TABLE)["time_days"].tolist()[:4] == [3.0, 7.0, 4.0, 7.0]


def test_a_competing_event_after_the_horizon_did_not_compete() -> None:
    rule = Endpoint("outcome", ["died"], competing=["survived"], horizon=7)
    assert rule.follow_up(TABLE)["competing_event"].tolist()[:4] == [False, False, False, False]
    rule = Endpoint("outcome", ["died"], competing=["survived"])
    assert rule.follow_up(TABLE)["competing_event"].tolist()[:4] == [False, True, False, False]


def test_deterioration_by_a_flag() -> None:
    table = pd.DataFrame({"progressed": [True, False, pd.NA], "event_time_days": [1, 2, 3]})
    rule = Endpoint("progressed", [True])
    assert rule.apply(table.astype({"progressed": "boolean"})).tolist() == [1, 0, pd.NA]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"positive": ["dead"]}, "no row has the value 'dead'"),
        ({"time": "event_time_day"}, "Did you mean event_time_days"),
        ({"column": "outcom"}, "there is no column 'outcom'"),
        ({"horizon": 0}, "above 0"),
        ({"competing": ["died"]}, "named both as the event and as competing with it"),
        ({"time": "patient_id"}, "'a' is no number of days"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], said: str) -> None:
    arguments: dict[str, object] = {"column": "outcome", "positive": ["died"], **change}
    with pytest.raises(ManifestError) as caught:
        Endpoint(**arguments).apply(TABLE)  # type: ignore[arg-type]
    assert said.casefold() in str(caught.value).casefold()


def test_no_row_with_a_time() -> None:
    with pytest.raises(ManifestError, match=r"6 rows: no event_time_days"):
        Endpoint("outcome", ["died"]).apply(TABLE.assign(event_time_days=np.nan))


def test_another_column_of_times_is_not_written_over() -> None:
    with pytest.raises(ManifestError, match=r"label_rule\.time"):
        Endpoint("outcome", ["died"]).follow_up(TABLE.assign(time_days=1.0))
