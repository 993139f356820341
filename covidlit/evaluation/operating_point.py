"""The operating point: a threshold that is chosen on validation data or fixed, never on test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.errors import PredictionsError, did_you_mean
from covidlit.evaluation.folds import fold_and_repeat, fold_name, model_number, model_numbers
from covidlit.evaluation.predictions import accepted
from covidlit.evaluation.roc import roc_points
from covidlit.evaluation.ties import rounding

FIXED = 0.5
"""The threshold where there is nothing to choose it on."""

_RULES = ("auto", "youden", "sensitivity>=0.9", "specificity>=0.9", "cost:10:1")
_TARGETED = re.compile(r"(sensitivity|specificity)\s*>=\s*(\d*\.?\d+)")
_COST = re.compile(r"cost:(\d*\.?\d+):(\d*\.?\d+)(?:@(\d*\.?\d+))?")


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and where it came from; a scan is called positive if score >= threshold.

    Attributes:
        threshold: the threshold.
        rule: "youden", "sensitivity >= x", "specificity >= x", "cost:a:b@p" or "fixed".
        chosen_on: "validation", or None if fixed beforehand.
        n: number of scans it was chosen on.
        n_positive: number of positive ones among them.
        fold: the fold it belongs to, None without folds.
        repeat: the repeat of the cross-validation, None where there is one only.
        note: why the rule that was asked for was not used, or None.
    """

    threshold: float
    rule: str
    chosen_on: str | None
    n: int
    n_positive: int
    fold: int | None = None
    note: str | None = None
    repeat: int | None = None

    @property
    def number(self) -> int | None:
        """The `model_number` of its fold and repeat."""
        return None if self.fold is None else model_number(self.fold, self.repeat)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    def sentence(self) -> str:
        """Where the threshold came from, as one sentence."""
        if self.chosen_on is None:
            why = f" ({self.note})" if self.note else ""
            return f"Threshold {self.threshold:.3g} was fixed beforehand, not chosen on data{why}."
        rule = {"youden": "the maximum of Youden's J"}.get(self.rule, self.rule)
        if match := _COST.fullmatch(self.rule):
            missed, false, prevalence = match.groups()
            held = "that of these scans" if prevalence is None else prevalence
            rule = (
                f"the least expected cost (a missed positive costs {missed}, a false alarm "
                f"{false}, prevalence {held})"
            )
        return (
            f"Threshold {self.threshold:.3g} was chosen by {rule} on {self.n} {self.chosen_on} "
            f"scans ({self.n_positive} positive), without looking at the test part."
        )


def choose_threshold(target: NDArray[np.generic], score: NDArray[np.floating], rule: str) -> float:
    """The threshold that a rule picks, half-way between two neighbouring scores.

    "youden" maximises sensitivity + specificity - 1 (Youden, Cancer 1950;3:32); among equal ones
    the lowest threshold, hence the most sensitive, is taken. "sensitivity >= x" takes the highest
    threshold that reaches x, "specificity >= x" the lowest. "cost:a:b" minimises what decisions
    cost on average, where a missed positive costs a and a false alarm b, at the prevalence of these
    scans or, written "cost:a:b@p", at p; of equal ones again the lowest threshold (Zweig and
    Campbell, Clinical Chemistry 1993;39:561).

    Args:
        target: shape (n,), 1 for positive.
        score: shape (n,).
        rule: see above.

    Raises:
        ValueError: only one class is present, or the rule is unknown.
    """
    positive = np.asarray(target).astype(bool)
    if positive.all() or not positive.any():
        raise ValueError("a threshold cannot be chosen on one class alone")
    false, true, threshold = roc_points(positive, score)
    sensitivity, specificity = true / positive.sum(), 1 - false / (~positive).sum()
    if rule == "youden":
        gain = sensitivity + specificity
        index = int(np.flatnonzero(gain >= gain.max() - 1e-12)[-1])
    elif (cost := _COST.fullmatch(rule)) is not None:
        missed, alarm = float(cost.group(1)), float(cost.group(2))
        share = positive.mean() if cost.group(3) is None else float(cost.group(3))
        price = missed * share * (1 - sensitivity) + alarm * (1 - share) * (1 - specificity)
        index = int(np.flatnonzero(price <= price.min() + 1e-12 * max(missed, alarm))[-1])
    else:
        match = _TARGETED.fullmatch(rule)
        if match is None:
            raise ValueError(f"unknown rule {rule!r}")
        wanted = float(match.group(2)) - 1e-12
        if match.group(1) == "sensitivity":
            index = int(np.flatnonzero(sensitivity >= wanted)[0])
        else:
            index = int(np.flatnonzero(specificity >= wanted)[-1])
    # Beyond all scores by more than their rounding: computed again, they are called the same. Index
    # 0 is +infinity (nothing is positive).
    if index == 0:
        highest = threshold[1]
        return float(max(highest + rounding(highest), np.nextafter(highest, np.inf)))
    if index == len(threshold) - 1:
        return float(max(threshold[index] - rounding(threshold[index]), 0.0))
    return float((threshold[index] + threshold[index + 1]) / 2)


def parse_rule(operating_point: str | float) -> str | float:
    """A threshold as a float, or the name of a known rule.

    Raises:
        PredictionsError: neither.
    """
    text = str(operating_point).strip()
    try:
        number = float(text)
    except ValueError:
        match = _TARGETED.fullmatch(text)
        if text in ("auto", "youden") or (match and float(match.group(2)) <= 1):
            return text
        if cost := _COST.fullmatch(text):
            _check_cost(text, *cost.groups())
            return text
        guess = None if match else did_you_mean(text, _RULES)
        raise PredictionsError(
            f"unknown operating point {operating_point!r}.",
            where="operating_point",
            fix=f"{guess + ' ' if guess else ''}use {', '.join(map(repr, _RULES))} or a number, "
            "each from 0 to 1.",
        ) from None
    if not 0 <= number <= 1:
        raise PredictionsError(
            f"a threshold must lie in [0, 1], not {number}.", where="operating_point"
        )
    return number


def _check_cost(text: str, missed: str, alarm: str, prevalence: str | None) -> None:
    if float(missed) <= 0 or float(alarm) <= 0:
        raise PredictionsError(
            f"both costs must be above 0, not as in {text!r}.",
            where="operating_point",
            fix="write for example cost:10:1, where a missed positive costs ten false alarms.",
        )
    if prevalence is not None and not 0 < float(prevalence) < 1:
        raise PredictionsError(
            f"the prevalence must lie between 0 and 1, not {prevalence}.",
            where="operating_point",
            fix="write for example cost:10:1@0.05.",
        )


def check_operating_point(table: pd.DataFrame, operating_point: str | float) -> str | float:
    """The rule, if it can be applied to every fold of a table; scores are not looked at.

    Raises:
        PredictionsError: the rule is unknown, or it was asked for by name and a fold has no
            validation part with both classes.
    """
    rule = parse_rule(operating_point)
    if isinstance(rule, float) or rule == "auto":
        return rule
    for fold, rows in _by_fold(table):
        if problem := _problem(_validation(rows)):
            place = "" if fold is None else f" of fold {fold_name(fold)}"
            raise PredictionsError(
                f"the rule {rule!r} cannot be applied{place}: {problem}.",
                where="operating_point",
                fix="give validation scans of both classes, or a number as the threshold.",
            )
    return rule


def operating_points(
    table: pd.DataFrame, operating_point: str | float = "auto"
) -> dict[int | None, OperatingPoint]:
    """One operating point per model of a binary predictions table.

    The keys are `covidlit.evaluation.folds.model_number`: the folds, None without.

    "auto" is Youden's rule on the validation part, or 0.5, with a note, where there is no
    validation part with both classes and more than one score.

    Raises:
        PredictionsError: see `check_operating_point`.
    """
    rule = check_operating_point(table, operating_point)
    points: dict[int | None, OperatingPoint] = {}
    for number, rows in _by_fold(table):
        if isinstance(rule, float):
            point = OperatingPoint(rule, "fixed", None, 0, 0)
        else:
            point = _chosen(_validation(rows), rule)
        fold, repeat = (None, None) if number is None else fold_and_repeat(number)
        points[number] = replace(point, fold=fold, repeat=repeat)
    return points


def _chosen(validation: pd.DataFrame, rule: str) -> OperatingPoint:
    if problem := _problem(validation):
        return OperatingPoint(FIXED, "fixed", None, 0, 0, note=problem)
    name = "youden" if rule == "auto" else rule
    target, score = validation["target"].to_numpy(bool), validation["score"].to_numpy(float)
    if rule == "auto" and np.ptp(score) == 0:
        same = f"the {len(score)} validation scans all have the score {score[0]:.3g}"
        return OperatingPoint(FIXED, "fixed", None, 0, 0, note=same)
    threshold = choose_threshold(target, score, name)
    return OperatingPoint(threshold, name, "validation", len(target), int(target.sum()))


def _by_fold(table: pd.DataFrame) -> Iterator[tuple[int | None, pd.DataFrame]]:
    for value, rows in table.groupby(model_numbers(table), dropna=False):
        yield None if pd.isna(value) else int(str(value)), rows


def _validation(rows: pd.DataFrame) -> pd.DataFrame:
    return accepted(rows[rows["part"] == "validation"])


def _problem(validation: pd.DataFrame) -> str | None:
    """Why no threshold can be chosen on these scans, or None."""
    n, n_positive = len(validation), int(validation["target"].sum())
    if n == 0:
        return "there is no scored validation scan"
    return f"the {n} validation scans are all of one class" if n_positive in (0, n) else None
