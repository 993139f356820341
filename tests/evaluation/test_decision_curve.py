"""Net benefit by its definition, and what a report says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covidlit.evaluation import evaluate, write_report
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.decision_curve import THRESHOLDS, decision_curve, net_benefit

Predictions = Callable[..., pd.DataFrame]


@given(st.integers(0, 10_000), st.sampled_from(THRESHOLDS))
def test_net_benefit_is_counted(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    target, score = rng.random(40) < 0.4, rng.random(40).round(2)
    called = score >= threshold
    true, false = (called & target).sum(), (called & ~target).sum()
    expected = true / 40 - false / 40 * threshold / (1 - threshold)
    assert net_benefit(target, score, [threshold])[0] == pytest.approx(expected)
    weights = rng.integers(0, 3, size=(2, 40)).astype(float)
    drawn = np.repeat(np.arange(40), weights[1].astype(int))
    found = net_benefit(target, score, [threshold], weights)[1, 0]
    assert found == pytest.approx(net_benefit(target[drawn], score[drawn], [threshold])[0])


def test_treating_all_is_what_dcurves_gives_and_a_perfect_score_gains_the_prevalence() -> None:
    target = np.arange(1000) < 464  # prevalence 0.464 at 0.5: -0.072
    curve = decision_curve(target, target.astype(float), Sampling.independent(1000), [0.2, 0.5])
    first, last = curve["points"]
    assert last["treat_all"] == pytest.approx(-0.072)
    assert last["net_benefit"]["value"] == pytest.approx(0.464)
    assert last["ahead"]["value"] == pytest.approx(0.464)
    assert first["ahead"]["value"] == pytest.approx(0.464 - (0.464 - 0.536 / 4))
    with pytest.raises(ValueError, match="must lie in"):
        net_benefit(target, target.astype(float), [1.0])


def test_intervals_draw_patients_and_not_scans() -> None:
    rng = np.random.default_rng(0)
    target, score = rng.random(60) < 0.5, rng.random(60)
    widths = []
    for patient in (np.arange(480), np.repeat(np.arange(60), 8)):
        sampling = Sampling(patient, n_bootstrap=500)
        point = decision_curve(np.repeat(target, 8), np.repeat(score, 8), sampling, [0.5])["points"]
        found = point[0]["net_benefit"]
        assert found["low"] <= found["value"] <= found["high"]
        widths.append(found["high"] - found["low"])
    assert widths[1] > 2 * widths[0]


def test_the_report_shows_it_or_says_why_not(predictions: Predictions, tmp_path: Path) -> None:
    table = predictions()
    write_report(table, tmp_path, evaluation=evaluate(table, n_bootstrap=100))
    page = (tmp_path / "report.html").read_text()
    assert page.count("treat all") >= 1
    assert "Ahead of the better of treating all and none" in page
    negative = table[(table["part"] == "validation") | (table["target"] == 0)]
    write_report(negative, tmp_path, evaluation=evaluate(negative, n_bootstrap=100))
    page = (tmp_path / "report.html").read_text()
    assert "There is no decision curve: only one class is present." in page
