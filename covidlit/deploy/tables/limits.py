"""Refusing numbers that no patient can have, and units that cannot be right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.cohort.clinical.indicators import INDICATORS
from covidlit.cohort.clinical.plausible import TYPICAL, Limits, alone_looks_like, looks_like
from covidlit.cohort.factor_limits import FACTOR_LIMITS
from covidlit.counted import counted
from covidlit.errors import ManifestError

_FLAGS = ("male", "smoker")
_PREFIXES = ("symptom_", "comorbidity_")
_LISTED = 8

_LONE = 2
"""So many values of a column, or fewer, are judged one by one; more tell the column's unit."""

_SHARES = tuple(name for name in TYPICAL if INDICATORS[name].unit == "percent of leukocytes")
_WHOLE = 101.0
"""Percent, with what rounding adds, that the kinds of leukocytes cannot exceed together."""


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
    if (bare := _bare(name)) != name:
        return range_of(bare)
    return Range(-math.inf, math.inf, "")


def refuse_impossible(
    texts: Sequence[str],
    values: pd.DataFrame,
    where: object,
    training: Mapping[str, Any] | None = None,
    units_said: bool = False,
) -> None:
    """Refuse a table that holds what no patient can have, or columns in other units than named.

    Args:
        texts: what each row is called, such as "row 3".
        values: numbers by feature, one row for each.
        training: how the model's training rows are spread
            (`covidlit.datamodules.tables.training_values.spread_of`): a lone percentage of at most
            1 is taken for a fraction where it lies below all of them.
        units_said: a mapping has said the units of the columns, so that none has to be guessed.

    Raises:
        ManifestError: names row, column, value, limits, and the unit that would fit.
    """
    problems = []
    for name in map(str, values.columns):
        own = values[name].to_numpy(dtype=np.float64)
        found = _impossible(name, own, texts)
        if not found and not units_said:
            found = _other_unit(name, own) or _lone_shares(name, values, training or {}, texts)
        problems += found
    if problems:
        more = len(problems) - _LISTED
        raise ManifestError(
            f"{counted(len(problems), 'problem')}: {'; '.join(problems[:_LISTED])}"
            + (f" (and {more} more)." if more > 0 else "."),
            where=where,
            fix="give the numbers in the units of their columns' names, or say the table's own by "
            "--mapping.",
        )


def _impossible(name: str, own: NDArray[np.float64], texts: Sequence[str]) -> list[str]:
    """A sentence for each number of a column that no patient can have."""
    limits = range_of(name)
    wrong = np.isfinite(own) & ((own < limits.low) | (own > limits.high))
    share = _is_share(name) & (own > 0) & (own <= 1)
    found = []
    for place in map(int, np.flatnonzero(wrong | share | np.isinf(own))):
        value = float(own[place])
        what = (
            "looks like a fraction of 1" if share[place] and not wrong[place]
            else f"must be {limits.low:g} to {limits.high:g} {limits.unit}"
        )  # fmt: skip
        found.append(
            f"{texts[place]}, column {name!r}: value {value:g} {what}{hint_of(name, value)}"
        )
    return found


def _is_share(name: str) -> bool:
    """Of percentages that are never about 1 in a living patient."""
    bare = _bare(name)
    return bare in TYPICAL and bare.endswith("_percent") and TYPICAL[bare][0] >= 10


def _other_unit(name: str, own: NDArray[np.float64]) -> list[str]:
    """A sentence on a column whose numbers together fit another unit than that of its name."""
    bare = _bare(name)
    if bare not in INDICATORS:
        return []
    text = looks_like(own, INDICATORS[bare].unit, _limits_of(bare), None)
    return [f"column {name!r}: {text}"] if text else []


def _lone_shares(
    name: str, values: pd.DataFrame, training: Mapping[str, Any], texts: Sequence[str]
) -> list[str]:
    """A sentence for each percentage that is rather a fraction, where few tell the unit.

    One of at most 1, below all that the model was trained on, which as a fraction would be usual
    and leave room for the row's other kinds of leukocytes.
    """
    bare, own = _bare(name), values[name].to_numpy(dtype=np.float64)
    quantiles = (training.get(name) or {}).get("quantiles")
    few = np.isfinite(own).sum() <= _LONE
    if bare not in _SHARES or TYPICAL[bare][0] < 1 or not few or not quantiles:
        return []
    others = [each for each in map(str, values.columns) if _bare(each) in _SHARES and each != name]
    percent = values[others].where(values[others] > 1).sum(axis=1).to_numpy(dtype=np.float64)
    odd = (own > 0) & (own <= 1) & (own < quantiles[0]) & (100 * own + percent <= _WHOLE)
    return [
        f"{texts[place]}, column {name!r}: value {own[place]:g} looks like a fraction of 1{hint}, "
        f"the lowest of the model's training is {quantiles[0]:.4g}"
        for place in map(int, np.flatnonzero(odd))
        if (hint := hint_of(name, float(own[place])))
    ]


def hint_of(name: str, value: float) -> str:
    """What an odd value of an indicator would be in another unit, in brackets; or empty."""
    bare = _bare(name)
    if bare not in INDICATORS:
        return ""
    own = INDICATORS[bare]
    unit = "%" if own.unit.startswith("percent") else own.unit
    return alone_looks_like(value, unit, _limits_of(bare), None)


def _limits_of(indicator: str) -> Limits:
    own = INDICATORS[indicator]
    return Limits(own.unit, own.low, own.high, TYPICAL[indicator])


def _bare(name: str) -> str:
    """An indicator's name without the rule that it was reduced by; any other name as it is."""
    for rule in ("first", "last", "worst", "mean"):
        bare = name.removesuffix(f"_{rule}")
        if bare != name and bare in INDICATORS:
            return bare
    return name
