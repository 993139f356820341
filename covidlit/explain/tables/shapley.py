"""Shapley values of numbers by sampled permutations, for any model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_BATCH = 200_000
"""Rows that a model scores at a time."""


def shapley_values(
    of_rows: Callable[[Values], Values],
    rows: Values,
    reference: Values,
    n_pairs: int = 16,
    seed: int = 0,
) -> Values:
    """What each number contributes to a model's output, beside that of a reference row.

    The numbers of the reference are replaced by those of the row one after the other, in a sampled
    order and in its reverse; a number's contribution is the mean change of the output when it is
    its turn. The contributions of a row sum to its output less the reference's (completeness),
    however few orders there are; where the output is a sum of one function of each number, each is
    exact.

    Args:
        of_rows: (n, features) to (n,), NaN where a number is missing.
        rows: (n, features).
        reference: (features,).
        n_pairs: orders that are drawn, each with its reverse.
        seed: of the orders.

    Returns:
        (n, features).

    Source: Strumbelj and Kononenko, Knowledge and Information Systems 2014; pairs of orders:
    Mitchell et al., Journal of Machine Learning Research 2022.
    """
    n, n_features = rows.shape
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(n_features) for _ in range(n_pairs)]
    orders = [order for each in orders for order in (each, each[::-1])]
    found = np.zeros((n, n_features))
    # A number that is the reference's changes nothing, and is left out of what is scored.
    same = (rows == reference) | (np.isnan(rows) & np.isnan(reference))
    for row in range(n):
        differing = np.flatnonzero(~same[row])
        if not len(differing):
            continue
        own = [order[np.isin(order, differing)] for order in orders]
        mixed = np.broadcast_to(reference, (len(own), len(differing) + 1, n_features)).copy()
        for place, order in enumerate(own):
            for step, feature in enumerate(order, start=1):
                mixed[place, step:, feature] = rows[row, feature]
        flat = mixed.reshape(-1, n_features)
        parts = [of_rows(flat[k : k + _BATCH]) for k in range(0, len(flat), _BATCH)]
        steps = np.diff(np.concatenate(parts).reshape(len(own), -1), axis=1)
        for order, changes in zip(own, steps, strict=True):
            found[row, order] += changes / len(own)
    return found
