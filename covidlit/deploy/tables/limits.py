"""Refusing numbers that no patient can have, and units that cannot be right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from covidlit.cohort.clinical.indicators import INDICATORS
from covidlit.cohort.clinical.plausible import TYPICAL, Limits, alone_looks_like
from covidlit.cohort.factor_limits import FACTOR_LIMITS
from covidlit.errors import ManifestError

_FLAGS = ("male", "smoker")
_PREFIXES = ("symptom_", "comorbidity_")
_LISTED = 8


class Range(NamedTuple):
    """What a number can be, with its unit."""

    low: float
    high: float
    unit: str


def range_of(name: str) -> Range:
    """What a patient can have; no limits where none is known.

    Args:
        name: of a feature; of an indicator's further reductions (`..._worst`) as well.
    """
    if name in INDICATORS:
        return Range(INDICATORS[name].low, INDICATORS[name].high, INDICATORS[name].unit)
    if name in FACTOR_LIMITS:
        return Range(*FACTOR_LIMITS[name])
    if name == "age":
        return Range(0, 120, "years")
    if name == "comorbidity_count":
        return Range(0, math.inf, "diseases")
    if name in _FLAGS or name.startswith(_PREFIXES):
        return Range(0, 1, "(0: no, 1: yes)")
    for rule in ("first", "last", "worst", "mean"):
        if name.endswith(f"_{rule}") and (bare := name.removesuffix(f"_{rule}")) in INDICATORS:
            return range_of(bare)
    return Range(-math.inf, math.inf, "")


def refuse_impossible(texts: Sequence[str], values: pd.DataFrame, where: object) -> None:
    """Refuse a table that holds what no patient can have.

    Args:
        texts: what each row is called, such as "row 3".
        values: numbers by feature, one row for each.

    Raises:
        ManifestError: names row, column, value, limits, and the unit that would fit.
    """
    problems = []
    for name in map(str, values.columns):
        limits = range_of(name)
        own = values[name].to_numpy(dtype=np.float64)
        wrong = np.isfinite(own) & ((own < limits.low) | (own > limits.high))
        share = _is_share(name) & (own > 0) & (own <= 1)
        for place in map(int, np.flatnonzero(wrong | share | np.isinf(own))):
            value = float(own[place])
            what = (
                "looks like a fraction of 1" if share[place] and not wrong[place]
                else f"must be {limits.low:g} to {limits.high:g} {limits.unit}"
            )  # fmt: skip
            problems.append(
                f"{texts[place]}, column {name!r}: value {value:g} {what}{hint_of(name, value)}"
            )
    if problems:
        more = len(problems) - _LISTED
        raise ManifestError(
            f"{len(problems)} problem(s): {'; '.join(problems[:_LISTED])}"
            + (f" (and {more} more)." if more > 0 else "."),
            where=where,
            fix="give the numbers in the units of their columns' names, or say the table's own by "
            "--mapping.",
        )


def _is_share(name: str) -> bool:
    """Of percentages that are never about 1 in a living patient."""
    return name in TYPICAL and name.endswith("_percent") and TYPICAL[name][0] >= 10


def hint_of(name: str, value: float) -> str:
    """What an odd value of an indicator would be in another unit, in brackets; or empty."""
    if name not in INDICATORS:
        return ""
    own = INDICATORS[name]
    limits = Limits(own.unit, own.low, own.high, TYPICAL[name])
    unit = "%" if own.unit.startswith("percent") else own.unit
    return alone_looks_like(value, unit, limits, None)
