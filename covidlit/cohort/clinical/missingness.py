"""What is missing, where, and whether that it is missing tells the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import fisher_exact
from statsmodels.stats.multitest import multipletests

_LEVEL = 0.05
_GAP = 0.2
"""Shares of missing values that differ by so much between groups are warned of, if by chance only
with less than 5% after Holm's correction."""


@dataclass(frozen=True)
class Missingness:
    """What is missing in a table of one row per patient.

    Args:
        table: a row for each group and feature: `by` (all, centre, part), `group`, `feature`, `n`,
            `missing`, `percent`.
        tests: a row for each feature of which some values, but not all, are missing: `feature`,
            `of` (target, centre, part), `statistic` (the odds ratio, of two by two), `p`, `p_holm`.
        warnings: sentences.
    """

    table: pd.DataFrame
    tests: pd.DataFrame
    warnings: tuple[str, ...]


def missing_values(
    rows: pd.DataFrame, features: Sequence[str], *, target: str | None = "target",
    by: Sequence[str] = ("centre", "part"), seed: int = 0, n_permutations: int = 2000,
) -> Missingness:  # fmt: skip
    """Count missing values and test whether they depend on outcome, centre and part.

    Args:
        rows: one per patient, with the features, the target (0, 1, ... or null) and the groups.
        features: columns, NaN where missing.
        target: column; None, or one that is not there: no test of it.
        by: columns of groups, as far as they are there.
        seed: of the permutations, for tables larger than two by two.
        n_permutations: their number.

    Returns:
        Tests: Fisher's exact test of two by two tables, else a permutation test of the chi-square
        statistic; p values are corrected by Holm over the features, for each question by itself.
    """
    missing = rows[list(features)].isna()
    counted = [_counts(missing, pd.Series("all", index=rows.index), "all")]
    tests: list[pd.DataFrame] = []
    warnings: list[str] = []
    if target is not None and target in rows and rows[target].notna().any():
        found = _tests(missing, rows[target], "target", seed, n_permutations)
        tests.append(found)
        telling = found[found["p_holm"] < _LEVEL]
        if len(telling):
            names = ", ".join(telling["feature"])
            warnings.append(
                f"That a value is missing itself tells the outcome for {names} (Holm-corrected p "
                f"from {telling['p_holm'].min():.2g}): who is measured depends on how ill a "
                "patient is, and a model may learn that instead of the value."
            )
    for name in by:
        if name not in rows or rows[name].nunique() < 2:
            continue
        counted.append(_counts(missing, rows[name], name))
        found = _tests(missing, rows[name], name, seed, n_permutations)
        tests.append(found)
        shares = missing.groupby(rows[name]).mean()
        gap = shares.max() - shares.min()
        for feature in found.loc[found["p_holm"] < _LEVEL, "feature"]:
            if gap[feature] < _GAP:
                continue
            low, high = shares[feature].idxmin(), shares[feature].idxmax()
            whole = " throughout" if shares.at[high, feature] == 1 else ""
            warnings.append(
                f"{feature} is missing{whole} in {100 * shares.at[high, feature]:.0f}% of "
                f"{name} {high} and in {100 * shares.at[low, feature]:.0f}% of {name} {low}."
            )
    columns = ["feature", "of", "statistic", "p", "p_holm"]
    whole_tests = pd.concat(tests, ignore_index=True) if tests else pd.DataFrame(columns=columns)
    return Missingness(pd.concat(counted, ignore_index=True), whole_tests, tuple(warnings))


def _counts(missing: pd.DataFrame, groups: pd.Series, by: str) -> pd.DataFrame:
    known = groups.notna()
    groups = groups[known].astype(str)
    n = groups.value_counts(sort=False)
    absent = missing[known].groupby(groups, sort=True).sum()
    long = absent.rename_axis("group").reset_index().melt("group", None, "feature", "missing")
    long = long.assign(by=by, n=long["group"].map(n))
    long["missing"] = long["missing"].astype(int)
    long["percent"] = 100 * long["missing"] / long["n"]
    return long[["by", "group", "feature", "n", "missing", "percent"]]


def _tests(
    missing: pd.DataFrame, groups: pd.Series, of: str, seed: int, n_permutations: int
) -> pd.DataFrame:
    known = groups.notna()
    codes, names = pd.factorize(groups[known].astype(str), sort=True)
    rng, rows = np.random.default_rng(seed), []
    for feature in missing:
        absent = missing.loc[known, feature].to_numpy(dtype=bool)
        if len(names) < 2 or absent.all() or not absent.any():
            continue
        if len(names) == 2:
            cells = [[int((absent == a)[codes == c].sum()) for a in (True, False)] for c in (1, 0)]
            test = fisher_exact(cells)
            rows.append((feature, of, float(test.statistic), float(test.pvalue)))
            continue
        own = _chi_square(absent, codes, len(names))
        # How many missing values each group has after a permutation, without permuting.
        sizes = np.bincount(codes, minlength=len(names))
        drawn = rng.multivariate_hypergeometric(sizes, int(absent.sum()), n_permutations)
        above = int((_of_counts(drawn, sizes, absent.mean()) >= own - 1e-12).sum())
        rows.append((feature, of, own, (above + 1) / (n_permutations + 1)))
    found = pd.DataFrame(rows, columns=["feature", "of", "statistic", "p"])
    corrected = multipletests(found["p"], method="holm")[1] if len(found) else []
    return found.assign(p_holm=np.asarray(corrected, dtype=float))


def _chi_square(absent: np.ndarray, codes: np.ndarray, n: int) -> float:
    """Of the table of missing or not by groups; the margins are fixed, so expectations are too."""
    sizes = np.bincount(codes, minlength=n)
    return float(_of_counts(np.bincount(codes, weights=absent, minlength=n), sizes, absent.mean()))


def _of_counts(observed: np.ndarray, sizes: np.ndarray, share: float) -> np.ndarray:
    expected = sizes * share
    found: np.ndarray = ((observed - expected) ** 2 / (expected * (1 - share))).sum(axis=-1)
    return found
