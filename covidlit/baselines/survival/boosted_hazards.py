"""Boosted trees of the hazard of an event in time: what was fitted, and the risks that it gives."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from covidlit.baselines.boosted_growth import raw_scores
from covidlit.baselines.survival.hazards import risk_until

Floats = NDArray[np.float64]

NO_CLASS = 1
"""Classes of trees of hazards, see `covidlit.baselines.boosted_text.check_model_text`."""


@dataclass(frozen=True)
class BoostedHazards:
    """What was fitted.

    Attributes:
        text: LightGBM's trees; empty where there is nothing to learn, and all hazards are alike.
        n_features: that they take.
        centre: mean of the trees' sums in the training rows.
        factor: of what the sums differ from it, as held back patients bear it out.
        times, hazard: (k,) of Breslow's cumulative baseline hazard, at a log hazard of 0.
        n, n_events: training rows and events.
        problems: sentences on what could not be fitted, or only just.
        held_back: (n,) log hazard of each training row by trees grown without its patient; of the
            trees themselves where nobody could be held back.
        n_folds: in which patients were held back; 0: none.
    """

    text: str
    n_features: int
    centre: float
    factor: float
    times: Floats
    hazard: Floats
    n: int
    n_events: int
    problems: tuple[str, ...] = field(default=())
    held_back: Floats = field(default_factory=lambda: np.zeros(0), repr=False)
    n_folds: int = 0

    def log_hazard(self, x: ArrayLike) -> Floats:
        """(n,) log hazard relative to the mean of the training rows; x (n, features), NaN: missing.

        Raises:
            CheckpointError: the text of the trees is damaged.
        """
        values = np.asarray(x, dtype=np.float64)
        return self.factor * (tree_sums(self.text, values) - self.centre)

    def risk(self, x: ArrayLike, horizon: float) -> Floats:
        """(n,) probability of the event until a time."""
        return risk_until(self.times, self.hazard, self.log_hazard(x), horizon)


def tree_sums(text: str, x: Floats) -> Floats:
    """(n,) of trees of hazards; 0 where there are none.

    Args:
        text: of the trees, perhaps empty.
        x: (n, features), NaN where undefined.

    Raises:
        CheckpointError: the text is damaged.
    """
    return raw_scores(text, x, NO_CLASS) if text and len(x) else np.zeros(len(x))
