import numpy as np
import pytest

from covidlit.lesions.agreement import LIMITS, Limits, bland_altman, concordance, verdict


def test_bland_altman_of_known_differences() -> None:
    found = bland_altman([10.0, 20.0, 30.0, 40.0], [11.0, 23.0, 29.0, 45.0])
    assert found.n == 4
    assert found.bias == 2.0
    assert found.sd == pytest.approx(np.sqrt((1 + 1 + 9 + 9) / 3))
    assert found.upper - found.lower == pytest.approx(2 * 1.96 * found.sd)
    assert (found.lower + found.upper) / 2 == found.bias


def test_concordance_is_less_than_correlation_where_one_is_shifted() -> None:
    one = [1.0, 2.0, 3.0, 4.0]
    assert concordance(one, one) == pytest.approx(1)
    # By hand: 2 x 1.25 / (1.25 + 1.25 + 1).
    assert concordance(one, [v + 1 for v in one]) == pytest.approx(2.5 / 3.5)
    assert concordance(one, [-v + 5 for v in one]) == pytest.approx(-1)


@pytest.mark.parametrize("second", [[1.0], [1.0, 2.0, 3.0]])
def test_what_is_no_pairs_is_refused(second: list[float]) -> None:
    with pytest.raises(ValueError, match="two or more pairs"):
        bland_altman([1.0, 2.0][: len(second)], second)


def test_limits_grow_with_the_size_where_noise_does() -> None:
    limits = Limits(5.0, 0.25)
    assert limits.of(10, 10) == 5
    assert limits.of(100, 140) == 30


def test_a_change_is_one_only_beyond_the_limits() -> None:
    limits = LIMITS["total_volume_ml"]
    edge = limits.absolute
    assert verdict("total_volume_ml", 0.0, edge) == "within limits"
    assert verdict("total_volume_ml", 0.0, edge + 10) == "more"
    assert verdict("total_volume_ml", edge + 10, 0.0) == "less"
    assert verdict("total_volume_ml", None, 3.0) == "undefined"
    assert verdict("mean_density_hu", float("nan"), 3.0) == "undefined"
