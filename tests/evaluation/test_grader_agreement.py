"""Agreement of graders: against scikit-learn and statsmodels, and by properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa, to_table

from covidlit.evaluation.agreement import agreement
from covidlit.evaluation.bootstrap import Sampling

GRADES = st.lists(
    st.tuples(st.sampled_from(["good", "fair", "poor"]), st.sampled_from(["good", "fair", "poor"])),
    min_size=1,
    max_size=40,
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of statsmodels
@given(GRADES)
def test_kappa_is_that_of_scikit_learn_with_the_interval_of_statsmodels(
    pairs: list[tuple[str, str]],
) -> None:
    first, second = zip(*pairs, strict=True)
    found = agreement(first, second, Sampling.independent(len(pairs)))
    assert found.same.value == pytest.approx(np.mean([a == b for a, b in pairs]))
    assert found.same.count == sum(a == b for a, b in pairs)
    if len({*first, *second}) == 1:
        assert found.kappa.value is None
        return
    assert found.kappa.value == pytest.approx(cohen_kappa_score(first, second))
    numbers = [[("good", "fair", "poor").index(grade) for grade in pair] for pair in pairs]
    table = to_table(np.array(numbers), 3)[0]
    variance = cohens_kappa(table).var_kappa
    if found.kappa.low is None:
        assert variance == pytest.approx(0, abs=1e-9)
        return
    half = 1.959964 * np.sqrt(max(0, variance))
    assert found.kappa.low == pytest.approx(max(-1, found.kappa.value - half), abs=1e-5)
    assert found.kappa.high == pytest.approx(min(1, found.kappa.value + half), abs=1e-5)


def test_copies_of_a_patient_s_scans_say_no_more_than_one() -> None:
    rng = np.random.default_rng(3)
    first = rng.choice(["a", "b"], 60)
    second = np.where(rng.random(60) < 0.8, first, "b")
    once = agreement(first, second, Sampling.independent(60))
    patients = Sampling(np.repeat(np.arange(60), 5))
    often = agreement(np.repeat(first, 5), np.repeat(second, 5), patients)
    for one, copied in ((once.same, often.same), (once.kappa, often.kappa)):
        assert copied.value == pytest.approx(one.value)
        assert (copied.low, copied.high) == pytest.approx((one.low, one.high), abs=0.01)


def test_what_cannot_be_said_has_its_reason() -> None:
    nothing = agreement([], [], Sampling.independent(0))
    assert nothing.kappa.reason == nothing.same.reason == "no scan has both grades"
    one_patient = agreement(["a", "b"], ["a", "a"], Sampling(np.array(["P", "P"])))
    assert one_patient.same.low is None
    assert one_patient.kappa.value == 0
    with pytest.raises(ValueError, match="same scans"):
        agreement(["a"], [], Sampling.independent(1))
