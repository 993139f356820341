"""How often scans are drawn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from covidlit.datamodules.balance import balanced_order, draw_weights
from covidlit.errors import ConfigError

# The training centres of the 3D CSAC-Net paper: COVID-19 in the first one alone (Table 1).
CENTRES = np.repeat(["one", "two", "three"], [591, 495, 452]).astype(object)
CLASSES = np.zeros(1538, dtype=int)
CLASSES[:355] = 1


def told_by_centre(weights: np.ndarray | None) -> float:
    """AUC of the best guess of the class from the centre alone, under these draws."""
    weights = np.full(len(CLASSES), 1.0) if weights is None else weights
    positive = {c: np.average(CLASSES[c == CENTRES], weights=weights[c == CENTRES]) for c in
                ("one", "two", "three")}  # fmt: skip
    score = np.array([positive[c] for c in CENTRES])
    return float(roc_auc_score(CLASSES, score, sample_weight=weights))


@pytest.mark.parametrize("balanced", ["class", "centre", True])
def test_classes_are_drawn_equally_often(balanced: bool | str) -> None:
    weights = draw_weights(balanced, CLASSES, CENTRES)
    assert weights is not None
    assert weights.sum() == pytest.approx(1)
    assert weights[CLASSES == 1].sum() == pytest.approx(0.5)


def test_centre_takes_most_of_what_the_centre_tells() -> None:
    assert told_by_centre(None) > 0.85
    assert told_by_centre(draw_weights("class", CLASSES, CENTRES)) > 0.85
    assert told_by_centre(draw_weights("centre", CLASSES, CENTRES)) < 0.65


def test_nothing_is_weighed_where_it_is_not_asked_for() -> None:
    assert draw_weights(False, CLASSES, CENTRES) is None


def test_centres_without_a_class_in_common_are_refused() -> None:
    with pytest.raises(ConfigError, match="no training centre has every class"):
        draw_weights("centre", np.array([0, 1]), np.array(["one", "two"], dtype=object))
    # Scans without a centre are not of one.
    for unknown in (None, np.nan, ""):
        with pytest.raises(ConfigError, match="the centre of 2 training"):
            draw_weights("centre", np.array([0, 1]), np.array([unknown] * 2, dtype=object))


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be false, class or centre"):
        draw_weights("scanner", CLASSES, CENTRES)


def test_every_batch_has_each_class_in_its_share() -> None:
    classes = np.array([0] * 70 + [1] * 26)
    weights = draw_weights("class", classes, np.full(96, "one", dtype=object))
    assert weights is not None
    order = balanced_order(weights, classes, np.random.default_rng(0))
    assert classes[order].reshape(-1, 8).sum(axis=1).tolist() == [4] * 12
    # not always the same class first in a pair: two processes take every other draw
    assert 0.2 < classes[order][::2].mean() < 0.8


def test_scans_are_drawn_as_often_as_their_weight_asks() -> None:
    weights = draw_weights("centre", CLASSES, CENTRES)
    assert weights is not None
    size, epochs = len(CLASSES), 400
    generator = np.random.default_rng(0)
    counts = np.stack(
        [
            np.bincount(balanced_order(weights, CLASSES, generator), minlength=size)
            for _ in range(epochs)
        ]
    )
    assert (counts.sum(axis=1) == size).all()
    wanted = size * weights
    assert (np.abs(counts - wanted) < 1).all()  # rounded up or down in every epoch
    error = np.sqrt(wanted % 1 * (1 - wanted % 1) / epochs)
    assert (np.abs(counts.mean(axis=0) - wanted) < 5 * error + 1e-9).all()
