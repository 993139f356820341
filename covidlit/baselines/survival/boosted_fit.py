"""Boosted trees of the hazard of an event in time, on arrays.

The trees are grown on Cox's partial likelihood (Ridgeway, Computing Science and Statistics
1999;31:172): like Cox's model they order patients by a hazard that is proportional over time, but
the log hazard is a sum of trees instead of a linear one. Against hazards of single days on rows of
patients and days (Singer and Willett, Journal of Educational Statistics 1993;18:155), which learn
effects that change with time, they need no choice of intervals, and from some hundred patients an
event is little enough to learn one effect of each feature from.

What trees say of the rows that they were grown on is too extreme. So the steepness of the log
hazard, its baseline and the cuts of risk groups come from patients that were held back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from covidlit.baselines.boosted_growth import grow, rows_in_a_leaf
from covidlit.baselines.boosted_text import has_a_split
from covidlit.baselines.folds import deal_folds
from covidlit.baselines.survival.boosted_hazards import BoostedHazards, tree_sums
from covidlit.baselines.survival.hazards import RiskSets
from covidlit.counted import counted

Floats = NDArray[np.float64]

_FLATTEST, _STEEPEST = 0.01, 3.0
"""Limits of the factor of log hazards. Below the first the order of patients would be lost with the
differences of their risks; beyond the second they would be steeper than shrunk trees can learn."""


def fit_boosted_hazards(
    x: ArrayLike,
    time: ArrayLike,
    event: ArrayLike,
    patients: ArrayLike,
    parameters: Mapping[str, Any],
    *,
    n_folds: int = 5,
    seed: int = 0,
) -> BoostedHazards:
    """Grow trees on Cox's partial likelihood, and set their risks by patients held back.

    Where events are too few for so many folds there are fewer, and where nobody can be held back
    the risks are those that the trees give the rows that they have learnt; both is said.

    Args:
        x: (n, features), NaN where undefined.
        time: (n,) not negative.
        event: (n,) 1 for an event, 0 for censoring.
        patients: (n,) whose row it is.
        parameters: of `covidlit.baselines.BoostedTrees`, by name.
        n_folds: by patient, in which patients are held back; 0: none.
        seed: of the folds.

    Raises:
        ConfigError: LightGBM cannot be loaded, or a parameter is not one of its own values.
    """
    x, time = np.asarray(x, dtype=np.float64), np.asarray(time, dtype=float)
    event, people = np.asarray(event).astype(int), np.asarray(patients).astype(str)
    n, n_events = len(x), int(event.sum())
    none = BoostedHazards("", x.shape[1], 0.0, 1.0, np.zeros(0), np.zeros(0), n, n_events,
                          held_back=np.zeros(n))  # fmt: skip
    if not n_events:
        text = f"none of {n} patients has the event: no hazard can be estimated, all risks are 0"
        return replace(none, problems=(text,))
    problems = [f"all {n} patients have the event: there is no censoring"] * (n_events == n)
    sets, grown = RiskSets(time, event), _grown(x, time, event, parameters)
    if not grown:
        problems.append(
            f"no tree finds a split with {rows_in_a_leaf(parameters, n)} rows on either side of "
            f"it, in {n} rows: all risks are alike"
        )
        times, hazard = sets.baseline(np.zeros(n))
        return replace(none, times=times, hazard=hazard, problems=tuple(problems))
    own = tree_sums(grown, x)
    centre = float(own.mean())
    found = own - centre
    folds = _folds(event, people, n_folds, seed)
    for learnt, held in folds:
        text = _grown(x[learnt], time[learnt], event[learnt], parameters)
        found[held] = tree_sums(text, x[held]) - tree_sums(text, x[learnt]).mean()
    factor = 1.0
    if folds:
        factor, said = _steepness(found, sets)
        problems += said
    if len(folds) < n_folds:
        problems.append(
            f"{counted(n_events, 'event is', 'events are')} too few for {n_folds} folds of "
            "patients held back: "
            + (f"there are {len(folds)}" if folds else "predicted risks are too extreme")
        )
    times, hazard = sets.baseline(factor * found)
    return BoostedHazards(
        grown, x.shape[1], centre, factor, times, hazard, n, n_events, tuple(problems),
        factor * found, len(folds),
    )  # fmt: skip


def _grown(
    x: Floats, time: Floats, event: NDArray[np.integer], parameters: Mapping[str, Any]
) -> str:
    """The text of the trees; empty if none has a split."""
    if len(x) < 2:
        return ""  # LightGBM draws no row of one
    sets = RiskSets(time, event)

    def objective(sums: Floats, _: Any) -> tuple[Floats, Floats]:
        return sets.derivatives(sums)

    told: dict[str, Callable[[Floats, Any], tuple[Floats, Floats]]] = {"objective": objective}
    text = grow(parameters, x, told, event)
    return text if has_a_split(text) else ""


def _folds(
    event: NDArray[np.integer], people: NDArray[np.str_], n_folds: int, seed: int
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """As many folds as asked for, or as many as each learn from events; perhaps none."""
    for number in range(n_folds, 1, -1):
        if (folds := deal_folds(event, people, number, seed, scored=False)) is not None:
            return folds
    return []


def _steepness(found: Floats, sets: RiskSets) -> tuple[float, list[str]]:
    """The factor that makes log hazards of patients held back most likely.

    Few events say little of it: the trees' own, 1, counts as a normal prior with deviation 1.
    """

    def unlikely(factor: float) -> float:
        return sets.loss(factor * found) + (factor - 1) ** 2 / 2

    best = minimize_scalar(unlikely, bounds=(_FLATTEST, _STEEPEST), method="bounded")
    if best.x > 2 * _FLATTEST:
        return float(best.x), []
    return _FLATTEST, [
        "the order of risks does not hold in patients held back: all risks are nearly alike"
    ]
