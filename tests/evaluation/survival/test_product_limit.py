"""Kaplan-Meier, Aalen-Johansen and log-rank against statsmodels, lifelines, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

from covidlit.evaluation.survival.log_rank import log_rank
from covidlit.evaluation.survival.product_limit import (
    censoring_curve,
    cumulative_incidence,
    kaplan_meier,
    survival_curve,
)

# Values of lifelines 0.30.3: KaplanMeierFitter().fit(TIME, EVENT), logrank_test of GROUP 1 and 0.
TIME = [5, 6, 6, 2, 4, 4, 9, 12, 1, 8, 10, 7]
EVENT = [1, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1, 0]
GROUP = [1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0]

patients = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=40)


def test_the_curve_of_lifelines() -> None:
    found = kaplan_meier(TIME, EVENT)
    expected = [0.9166666666666667, 0.6666666666666665, 0.5, 0.5, 0.0]
    np.testing.assert_allclose(found.curve.at([1, 4, 6, 8, 12]), expected, atol=1e-12)
    place = np.searchsorted(found.times, [1, 4, 6])
    low = [0.5389771805707405, 0.3370189325414018, 0.20847714330673714]
    high = [0.9878255654004581, 0.8597117990844396, 0.7360730973730447]
    np.testing.assert_allclose(found.low[place], low, atol=1e-9)
    np.testing.assert_allclose(found.high[place], high, atol=1e-9)
    assert found.median == 6
    assert found.number_at_risk([0, 4, 4.5, 12, 13]).tolist() == [12, 10, 8, 1, 0]


@given(patients)
@settings(max_examples=50, deadline=None)
def test_the_curve_of_statsmodels(rows: list[tuple[int, bool]]) -> None:
    time, event = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows], int)
    if not event.any():
        return
    theirs = SurvfuncRight(time, event)
    np.testing.assert_allclose(
        kaplan_meier(time, event).curve.at(theirs.surv_times), theirs.surv_prob, atol=1e-12
    )


@given(patients, st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_weights_are_copies_of_patients(rows: list[tuple[int, bool]], seed: int) -> None:
    time, event = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows], int)
    often = np.random.default_rng(seed).integers(0, 3, len(time))
    if not often.any():
        return
    copied = np.repeat(time, often), np.repeat(event, often)
    when = np.arange(14) - 0.5
    for curve in (survival_curve, censoring_curve):
        weighed = curve(time, event, np.stack([often, often])).at(when)
        np.testing.assert_allclose(weighed[1], curve(*copied).at(when), atol=1e-12)


def test_who_has_the_event_is_not_at_risk_of_censoring_at_that_time() -> None:
    # At day 2 one has the event and one is censored: of the 2 left after the event 1 goes.
    assert censoring_curve([1, 2, 2, 3], [1, 1, 0, 1]).at([1.9, 2]).tolist() == [1.0, 0.5]


def test_a_competing_event_rules_the_other_out() -> None:
    found = cumulative_incidence([1, 2, 3], [1, 2, 1])
    np.testing.assert_allclose(found.at([0.5, 1, 2, 3]), [0, 1 / 3, 1 / 3, 2 / 3])


def test_without_competing_events_incidence_is_one_less_kaplan_meier() -> None:
    found = cumulative_incidence(TIME, EVENT)
    np.testing.assert_allclose(found.values, 1 - kaplan_meier(TIME, EVENT).survival, atol=1e-12)


def test_the_log_rank_test_of_lifelines() -> None:
    found = log_rank(TIME, EVENT, GROUP)
    assert found.statistic == pytest.approx(5.102739739555158)
    assert (found.df, found.p_value) == (1, pytest.approx(0.02388808386208759))


@pytest.mark.parametrize(
    ("time", "event", "group", "why"),
    [
        ([1, 2, 3], [0, 0, 0], [0, 1, 1], "no event"),
        ([1, 2, 3], [1, 1, 0], [0, 0, 0], "fewer than two groups"),
        ([1, 2, 3], [0, 1, 1], [0, 1, 1], "fewer than two groups"),
        ([2, 2, 2], [1, 1, 1], [0, 1, 1], "nobody outlives"),
    ],
    ids=["no event", "one group", "left before", "all at once"],
)
def test_a_log_rank_test_that_cannot_be_says_why(
    time: list[int], event: list[int], group: list[int], why: str
) -> None:
    found = log_rank(time, event, group)
    assert found.p_value is None
    assert why in str(found.reason)


def test_a_group_that_left_before_the_first_event_changes_nothing() -> None:
    with_gone = log_rank([0.5, 0.6, *TIME], [0, 0, *EVENT], [2, 2, *GROUP])
    assert with_gone == log_rank(TIME, EVENT, GROUP)
