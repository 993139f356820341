"""Scores that differ by less than their rounding are ties: they tell nothing apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.evaluation.predictions import RUN_COLUMNS, class_score_columns

LOGIT_ROUNDING = 2e-6
"""Two scores of one run tell nothing apart where their logits are this close.

A network of float32 adds up in another order with another number of threads, another batch or
another machine; the logits of a CSAC-Net of full width then differ by up to 1e-6 of their size
(2^-24 = 6e-8 of the largest term, times the root of the layers that add up)."""

FLOAT32_SPACING = 2.0**-23
"""And where they are this close in proportion to the score, which a float32 cannot hold apart after
it was rounded twice. Of scores near 0 this is nothing beside the above; near 1, where a float32 has
steps of 6e-8 however close to 1 it is, it is what matters."""


def rounding(score: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far the next higher score must be, at least, to be another one.

    In proportion to the smaller one of a score near 0 and of its distance from 1, so that scores of
    1e-9 and 2e-9, which a network does tell apart, stay apart.

    Args:
        score: probabilities, any shape.
    """
    exact: NDArray[np.float64] = np.asarray(score, dtype=np.float64)
    return exact * ((1 - exact) * LOGIT_ROUNDING + FLOAT32_SPACING)


def tied(score: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scores in which those that differ by less than their rounding are equal.

    Neighbours in the order of the scores that are closer than `rounding` belong together, also by
    way of others between them; each such group takes the value of its middle member. A score
    without such a neighbour keeps its value to the last bit.

    Args:
        score: probabilities, shape (n,), of one model; NaN where there is none.
    """
    scores: NDArray[np.float64] = np.array(score, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(scores))
    order = known[np.argsort(scores[known], kind="stable")]
    if not len(order):
        return scores
    ordered = scores[order]
    group = np.cumsum(np.r_[False, np.diff(ordered) > rounding(ordered[:-1])])
    starts = np.searchsorted(group, np.arange(group[-1] + 1))
    ends = np.r_[starts[1:], len(group)]
    scores[order] = ordered[(starts + ends - 1) // 2][group]
    return scores


def with_ties(table: pd.DataFrame) -> pd.DataFrame:
    """A predictions table whose scores can be compared, those of each run and fold by `tied`.

    Validation and test scans are looked at together, so that a threshold that was chosen on the
    ones means the same for the others. The one place where scores become the numbers of statistics;
    tables keep them as they are.

    Args:
        table: validated, see `covidlit.evaluation.predictions`.
    """
    table = table.copy()
    by = [name for name in RUN_COLUMNS if name in table]
    for name in ("score", *class_score_columns(table)):
        columns = table.groupby(by, dropna=False, sort=False)[name]
        table[name] = columns.transform(lambda score: tied(score.to_numpy(float)))
    return table
