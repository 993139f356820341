"""Repeated measurements as one row per patient; nothing later is ever used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress

from covidlit.cohort.clinical import reduce_measurements
from covidlit.errors import ConfigError, ManifestError

HB, LYM = "haemoglobin_g_per_l", "lymphocyte_percent"


def table() -> pd.DataFrame:
    rows = [
        ("A", "2020-02-01 08:00", 130.0, 25.0),
        ("A", "2020-02-01 20:00", 126.0, np.nan),
        ("A", "2020-02-03 08:00", 110.0, 8.0),
        ("A", "2020-02-06 08:00", 120.0, 15.0),
        ("B", "2020-02-02", 140.0, np.nan),
        ("B", "2020-02-10", 90.0, 5.0),
    ]
    found = pd.DataFrame(rows, columns=["patient_id", "moment", HB, LYM])
    return found.assign(moment=pd.to_datetime(found["moment"], format="mixed"))


def dates(a: str = "2020-02-01", b: str = "2020-02-02", **outcome: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient_id": ["A", "B"],
            "index_date": pd.to_datetime([a, b], format="ISO8601"),
            "outcome_date": pd.to_datetime([outcome.get("A"), outcome.get("B")]),
        }
    )


@pytest.mark.parametrize(
    ("rule", "window", "a", "b"),
    [
        ("first", (None, 0), (130, 25), (140, np.nan)),
        ("last", (None, 0), (126, 25), (140, np.nan)),
        ("mean", (None, 0), (128, 25), (140, np.nan)),
        ("worst", (None, 2), (110, 8), (140, np.nan)),
        ("last", (None, 5), (120, 15), (140, np.nan)),
        ("last", (None, None), (120, 15), (90, 5)),
        ("mean", (None, 8), ((130 + 126 + 110 + 120) / 4, 16), (115, 5)),
        ("first", 0, (130, 25), (140, np.nan)),
    ],
)
def test_by_hand(rule: str, window: Any, a: tuple[float, ...], b: tuple[float, ...]) -> None:
    found = reduce_measurements(table(), dates(), rule, window).table.set_index("patient_id")
    np.testing.assert_allclose(found.loc["A", [HB, LYM]].to_numpy(float), a)
    np.testing.assert_allclose(found.loc["B", [HB, LYM]].to_numpy(float), b)


def test_an_index_with_a_time_of_day_ends_the_window_at_it() -> None:
    found = reduce_measurements(table(), dates("2020-02-01 12:00"), "last", (None, 0))
    assert found.table[HB].tolist() == [130, 140]
    half_a_day = reduce_measurements(table(), dates("2020-02-01 12:00"), "last", (None, 0.5))
    assert half_a_day.table[HB].tolist() == [126, 140]


def test_days_before_the_index() -> None:
    found = reduce_measurements(table(), dates("2020-02-06", "2020-02-10"), "mean", (3, 0))
    assert found.table[HB].tolist() == [115, 90]
    assert (found.earlier, found.later) == (3, 0)


def test_slopes_are_those_of_scipy_and_need_two_moments() -> None:
    found = reduce_measurements(table(), dates(), "slope", (None, None))
    own = table()[lambda t: t["patient_id"] == "A"]
    days = (own["moment"] - own["moment"].iloc[0]).dt.total_seconds() / 86400
    assert found.table[f"{HB}_slope_per_day"].tolist() == pytest.approx(
        [linregress(days, own[HB]).slope, -50 / 8]
    )
    assert found.table[f"{LYM}_slope_per_day"].isna().tolist() == [False, True]
    assert found.columns[f"{LYM}_slope_per_day"] == (LYM, "slope")


def test_a_rule_for_each_feature() -> None:
    rule = {"default": "last", LYM: ["first", "worst"]}
    found = reduce_measurements(table(), dates(), rule, (None, 5)).table
    assert list(found) == ["patient_id", HB, LYM, f"{LYM}_worst"]
    assert found.iloc[0, 1:].tolist() == [120, 25, 8]


def test_nothing_of_the_outcome_or_later() -> None:
    found = reduce_measurements(table(), dates(A="2020-02-06"), "last", (None, None))
    assert found.table[HB].tolist() == [110, 90]
    assert found.after_outcome == 1


def test_a_feature_known_only_after_the_outcome_is_refused_by_name() -> None:
    later = table()
    later["autopsy_score"] = [np.nan, np.nan, np.nan, 3.0, np.nan, 2.0]
    with pytest.raises(ManifestError, match="autopsy_score was known only after the outcome"):
        reduce_measurements(later, dates(A="2020-02-05", B="2020-02-10"))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rule=st.sampled_from(["first", "last", "worst", "mean", "slope"]),
    after=st.sampled_from([0.0, 1.0, 2.5]),
    timed=st.booleans(),
)
def test_what_comes_later_changes_nothing(seed: int, rule: str, after: float, timed: bool) -> None:
    rng = np.random.default_rng(seed)
    n = 40
    origin = pd.Timestamp(2020, 2, 1)
    minutes = rng.integers(-5 * 1440, 8 * 1440, n)
    rows = pd.DataFrame(
        {
            "patient_id": rng.choice(["A", "B", "C"], n),
            "moment": origin + pd.to_timedelta(minutes, unit="min"),
            HB: np.where(rng.random(n) < 0.2, np.nan, rng.normal(120, 15, n)),
        }
    ).drop_duplicates(["patient_id", "moment"])
    start = origin + pd.Timedelta(hours=9 if timed else 0)
    index = pd.DataFrame({"patient_id": ["A", "B", "C"], "index_date": [start] * 3})
    before = reduce_measurements(rows, index, rule, (None, after)).table

    end = start + pd.Timedelta(days=after)
    if not timed:
        end = end.normalize() + pd.Timedelta(days=1) - pd.Timedelta(minutes=1)
    late = (rows["moment"] > end) & rows["moment"].ne(rows["moment"].dt.normalize())
    other = rows.copy()
    other.loc[late, HB] = rng.permutation(other.loc[late, HB]) * 3 + 7
    more = pd.DataFrame(
        {"patient_id": ["A", "B", "C"], "moment": end + pd.Timedelta(days=4, minutes=3), HB: 5.0}
    )
    other = pd.concat([other, more]).sample(frac=1, random_state=seed)
    again = reduce_measurements(other, index, rule, (None, after)).table
    pd.testing.assert_frame_equal(before, again)


def test_what_cannot_be_reduced() -> None:
    with pytest.raises(ConfigError, match="did you mean worst"):
        reduce_measurements(table(), dates(), "worse")
    with pytest.raises(ConfigError, match="no feature"):
        reduce_measurements(table(), dates(), {"hemoglobin": "last"})
    with pytest.raises(ConfigError, match="which side of ferritin"):
        reduce_measurements(table().assign(ferritin=1.0), dates(), "worst")
    with pytest.raises(ManifestError, match="patient B has no index date"):
        reduce_measurements(table(), dates().assign(index_date=[pd.Timestamp(2020, 2, 1), None]))
    with pytest.raises(ConfigError, match="no window"):
        reduce_measurements(table(), dates(), "first", (-1, 0))
