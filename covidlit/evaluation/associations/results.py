"""Every feature of a table against its outcome: correlations, effect sizes, tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from covidlit.evaluation.associations.association import Association, correct
from covidlit.evaluation.associations.correlation import pearson, spearman
from covidlit.evaluation.associations.effect_sizes import (
    cliffs_delta,
    hedges_g,
    odds_ratio,
    rank_auc,
    risk_difference,
)
from covidlit.evaluation.associations.group_tests import RULE, group_test
from covidlit.evaluation.associations.rows import Rows, rows_of_patients
from covidlit.evaluation.associations.variables import (
    Feature,
    Outcome,
    features_of_table,
    outcome_of,
)
from covidlit.evaluation.estimate import Estimate

CORRELATIONS = {"pearson": pearson, "spearman": spearman}
EFFECTS = {"hedges_g": hedges_g, "cliffs_delta": cliffs_delta, "auc": rank_auc}
SHARES = {"risk_difference": risk_difference, "odds_ratio": odds_ratio}
MEASURES = (*CORRELATIONS, *EFFECTS, *SHARES)


@dataclass(frozen=True)
class FeatureResult:
    """What one feature has to do with the outcome.

    Attributes:
        feature: as numbers.
        n: rows that have it.
        measures: by name, those that its kind and the outcome allow; undefined ones say why.
        group: the test between the groups.
        by_group: of each group a text such as "5.1 (4.0 to 6.3)" or "12 of 40 (30%)".
    """

    feature: Feature
    n: int
    measures: dict[str, Association]
    group: Association
    by_group: tuple[str, ...]


@dataclass(frozen=True)
class Associations:
    """All features against one outcome.

    Attributes:
        outcome: with the group of each row.
        results: one per feature, in the table's order.
        confidence: level of every interval.
        notes: sentences on what was left out and done.
        synthetic: whether any row is of computer-generated images.
    """

    outcome: Outcome
    results: tuple[FeatureResult, ...]
    confidence: float
    notes: tuple[str, ...] = field(default=())
    synthetic: bool = False

    def table(self) -> pd.DataFrame:
        """One row per feature; see the columns of `associations.csv` in the README."""
        rows = []
        for result in self.results:
            row: dict[str, Any] = {
                "feature": result.feature.name,
                "kind": result.feature.kind,
                "n": result.n,
                "n_missing": len(result.feature.values) - result.n,
            }
            for name in MEASURES:
                row |= _columns(name, result.measures.get(name))
            row |= {
                "group_test": result.group.test or None,
                "group_statistic": result.group.statistic,
                "group_p": result.group.p_value,
                "group_p_holm": result.group.p_holm,
                "reason": _reason(result),
            }
            rows.append(row)
        return pd.DataFrame(rows)

    def table1(self) -> pd.DataFrame:
        """Table 1 by outcome: one row per feature, a column per group, and the test."""
        sizes = np.bincount(self.outcome.codes, minlength=len(self.outcome.groups))
        heads = [f"{g} (n = {n})" for g, n in zip(self.outcome.groups, sizes, strict=True)]
        rows = []
        for result in self.results:
            rows.append(
                {
                    "feature": result.feature.name,
                    **dict(zip(heads, result.by_group, strict=True)),
                    "missing": len(result.feature.values) - result.n,
                    "test": result.group.test or "none",
                    "p": result.group.p_value,
                    "p_holm": result.group.p_holm,
                }
            )
        return pd.DataFrame(rows)


def associations(
    table: pd.DataFrame,
    *,
    outcome: str | None = None,
    order: Sequence[str] | None = None,
    positive: str | None = None,
    features: Sequence[str] | None = None,
    rows: Rows = "first",
    confidence: float = 0.95,
    seed: int = 0,
) -> Associations:
    """Hold every feature of a table against an outcome.

    Each kind of test is a family of its own, corrected by Holm's method over the features for which
    it could be computed: Pearson, Spearman, and the tests between groups.

    Args:
        table: one row per patient, scan or date.
        outcome, order, positive: see `covidlit.evaluation.associations.variables.outcome_of`.
        features: columns; None: see `features_of_table` there.
        rows: which of a patient's rows are used; see `rows_of_patients`.
        confidence: level of every interval.
        seed: of permutations.

    Raises:
        PredictionsError: a column or value that is not there, or nothing to compare.
    """
    # Rows without the outcome go first, so that a patient's first row with one is taken.
    found, known = outcome_of(table, outcome, order, positive)
    kept, note = rows_of_patients(table[known], rows)
    notes = [note] if note else []
    if not known.all():
        notes.append(f"{int((~known).sum())} of {len(table)} rows have no {found.name}.")
    # The groups of all rows stay the groups, even where the rows of some went.
    places = pd.Series(found.codes, index=table.index[known]).loc[kept.index]
    found = Outcome(found.name, found.groups, places.to_numpy(np.int64), found.ordered)
    listed, said = features_of_table(kept, features, found.name)
    results = _corrected([_result(each, found, confidence, seed) for each in listed])
    notes += [*said, *_untested(results, found)]
    synthetic = "synthetic" in table and bool(table["synthetic"].fillna(False).astype(bool).any())
    return Associations(found, tuple(results), confidence, tuple(notes), synthetic)


def _result(feature: Feature, outcome: Outcome, confidence: float, seed: int) -> FeatureResult:
    values, codes = feature.values, outcome.codes
    known = np.isfinite(values)
    measures: dict[str, Association] = {}
    if outcome.ordered and feature.kind != "category":
        for name, correlation in CORRELATIONS.items():
            measures[name] = correlation(values, codes, confidence)
    if outcome.two and feature.kind in ("continuous", "ordered"):
        for name, effect in EFFECTS.items():
            measures[name] = Association(effect(values, codes == 1, confidence))
    if outcome.two and feature.kind == "binary":
        exposed, positive = values[known] > 0, codes[known] == 1
        for name, share in SHARES.items():
            measures[name] = Association(share(exposed, positive, confidence))
    group = group_test(values, codes, feature.kind, seed)
    shown = tuple(
        _described(feature, values[codes == index], group.test)
        for index in range(len(outcome.groups))
    )
    return FeatureResult(feature, int(known.sum()), measures, group, shown)


def _corrected(results: list[FeatureResult]) -> list[FeatureResult]:
    groups = correct([result.group for result in results])
    families = {
        name: correct([result.measures.get(name, Association.undefined("")) for result in results])
        for name in CORRELATIONS
    }
    return [
        FeatureResult(
            result.feature,
            result.n,
            {
                name: families[name][index] if name in families else measure
                for name, measure in result.measures.items()
            },
            group,
            result.by_group,
        )
        for index, (result, group) in enumerate(zip(results, groups, strict=True))
    ]


def _untested(results: Sequence[FeatureResult], outcome: Outcome) -> list[str]:
    """Sentences: how many tests each family has, and what could not be tested, with reasons."""
    notes = [RULE]
    tested = sum(result.group.p_value is not None for result in results)
    notes.append(
        f"Holm's correction is over the {tested} of {len(results)} features that could be tested, "
        "for each kind of test by itself."
    )
    if untold := [result for result in results if result.group.p_value is None]:
        named = "; ".join(f"{r.feature.name}: {r.group.estimate.reason}" for r in untold)
        notes.append(f"Not tested: {named}.")
    if not outcome.ordered:
        notes.append(
            f"The groups of {outcome.name} have no order, so that there is no correlation; --order "
            "gives them one."
        )
    return notes


def _described(feature: Feature, values: np.ndarray, test: str) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return "–"
    if feature.kind in ("continuous", "ordered"):
        if test == "Welch's t":
            spread = f" ({known.std(ddof=1):.3g})" if len(known) > 1 else ""
            return f"{known.mean():.3g}{spread}"
        low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
        return f"{middle:.3g} ({low:.3g} to {high:.3g})"
    if feature.kind == "binary" and len(feature.levels) == 2:
        count = int((known > 0).sum())
        name = "" if feature.levels == ("no", "yes") else f"{feature.levels[1]} "
        return f"{name}{count} of {len(known)} ({count / len(known):.0%})"
    counts = [int((known == index).sum()) for index in range(len(feature.levels))]
    return ", ".join(
        f"{level} {n} ({n / len(known):.0%})"
        for level, n in zip(feature.levels, counts, strict=True)
    )


def _columns(name: str, measure: Association | None) -> dict[str, Any]:
    found = measure.estimate if measure else Estimate.undefined("not of this kind")
    row: dict[str, Any] = {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    if name in CORRELATIONS:
        row |= {
            f"{name}_p": measure.p_value if measure else None,
            f"{name}_p_holm": measure.p_holm if measure else None,
        }
    return row


def _reason(result: FeatureResult) -> str | None:
    """Why something of this feature is undefined; None where nothing is."""
    told = {
        name: measure.estimate.reason
        for name, measure in result.measures.items()
        if measure.estimate.reason
    }
    if result.group.p_value is None:
        told["test"] = result.group.estimate.reason or ""
    texts: dict[str, list[str]] = {}
    for name, reason in told.items():
        texts.setdefault(str(reason), []).append(name)
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in texts.items()) or None
