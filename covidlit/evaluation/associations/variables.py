"""Which columns of a table are features, of what kind, and what the outcome is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.cohort.clinical import OUTCOMES, SEVERITIES
from covidlit.errors import PredictionsError, did_you_mean
from covidlit.evaluation.associations.group_tests import Kind

OUTCOME_COLUMNS = (
    "severity", "severity_at_admission", "progressed", "outcome", "event_time_days", "target",
    "class_name",
)  # fmt: skip
"""Columns that say how a patient fared: never features, and by default the first is the outcome."""

_NO_FEATURES = (
    *OUTCOME_COLUMNS, "path", "date", "part", "fold", "split", "status", "reason", "notes", "key",
    "synthetic", "centre", "score", "run_id", "seed", "model",
)  # fmt: skip
_ORDERS = (SEVERITIES, OUTCOMES)
_FEW_NUMBERS, _MANY_KINDS = 5, 12


@dataclass(frozen=True)
class Outcome:
    """What features are held against.

    Attributes:
        name: of the column.
        groups: names of the groups in order, the positive one of two last.
        codes: shape (n,), index of each row's group.
        ordered: whether the groups stand in an order, so that a correlation means something.
    """

    name: str
    groups: tuple[str, ...]
    codes: NDArray[np.int64]
    ordered: bool

    @property
    def two(self) -> bool:
        """Whether there are two groups."""
        return len(self.groups) == 2


@dataclass(frozen=True)
class Feature:
    """One column as numbers.

    Attributes:
        name: of the column.
        kind: of the feature.
        values: shape (n,): numbers, 0 and 1, or codes of categories; NaN where undefined.
        levels: names of the categories, or of what 0 and 1 stand for.
    """

    name: str
    kind: Kind
    values: NDArray[np.float64]
    levels: tuple[str, ...] = ()


def outcome_of(
    table: pd.DataFrame,
    column: str | None = None,
    order: Sequence[str] | None = None,
    positive: str | None = None,
) -> tuple[Outcome, pd.Series]:
    """The outcome of a table, and which rows have one.

    Args:
        table: one row per patient or scan.
        column: None: the first of `OUTCOME_COLUMNS` that has two values.
        order: its values from mild to severe; None: of severities and outcomes their own, of
            numbers by size.
        positive: of two or more values the one that is held against all others.

    Raises:
        PredictionsError: no such column or value, or fewer than two groups.
    """
    name = _outcome_column(table, column)
    values = table[name]
    if pd.api.types.is_bool_dtype(values):
        values = values.astype("Int64")
    known = values.notna()
    texts = values[known].map(_text)
    if positive is not None:
        if positive not in set(texts):
            raise PredictionsError(
                f"no row of {name!r} is {positive!r}.",
                where="--positive",
                fix=did_you_mean(positive, sorted(set(texts)))
                or f"choose one of {', '.join(sorted(set(texts)))}.",
            )
        other = f"not {positive}"
        codes = (texts == positive).to_numpy(np.int64)
        _check_groups(name, np.unique(codes), known)
        return Outcome(name, (other, positive), codes, True), known
    groups, ordered = _ordered(texts, order, name)
    codes = texts.map({group: index for index, group in enumerate(groups)}).to_numpy(np.int64)
    _check_groups(name, np.unique(codes), known)
    return Outcome(name, tuple(groups), codes, ordered or len(groups) == 2), known


def features_of_table(
    table: pd.DataFrame, names: Sequence[str] | None, outcome: str
) -> tuple[list[Feature], list[str]]:
    """Columns as features, and sentences on what was left out.

    Args:
        table: rows with an outcome.
        names: of the columns; None: all numbers, flags and columns of few categories that say
            neither who a patient is nor how he fared.
        outcome: column of the outcome.

    Raises:
        PredictionsError: no such column, or none is left.
    """
    columns = [str(name) for name in table]
    for name in names or ():
        if name not in columns:
            raise PredictionsError(
                f"there is no column {name!r}.",
                where="--features",
                fix=did_you_mean(name, columns) or f"choose from {', '.join(columns)}.",
            )
    asked = [name for name in columns if not _is_no_feature(name)] if names is None else names
    found, left = [], []
    for name in asked:
        if name == outcome:
            continue
        feature = _feature(name, table[name])
        if feature is None:
            left.append(name)
        else:
            found.append(feature)
    if not found:
        raise PredictionsError(
            "no column is a feature.",
            where="--features",
            fix="name columns of numbers, flags or few categories.",
        )
    notes = []
    if left:
        notes.append(
            f"Not features, because they are text of more than {_MANY_KINDS} kinds or dates: "
            f"{', '.join(left)}."
        )
    late = [name for name in columns if name in OUTCOME_COLUMNS and name != outcome]
    if names is None and late:
        notes.append(f"Left out, because they say how a patient fared: {', '.join(late)}.")
    return found, notes


def _outcome_column(table: pd.DataFrame, column: str | None) -> str:
    columns = [str(name) for name in table]
    if column is not None:
        if column not in columns:
            raise PredictionsError(
                f"there is no column {column!r}.",
                where="--outcome",
                fix=did_you_mean(column, columns) or f"choose from {', '.join(columns)}.",
            )
        return column
    for name in OUTCOME_COLUMNS:
        if name in columns and table[name].nunique() > 1:
            return name
    raise PredictionsError(
        f"none of {', '.join(OUTCOME_COLUMNS)} is a column with two values.",
        where="--outcome",
        fix=f"choose from {', '.join(columns)}; --labels TABLE adds columns of another table.",
    )


def _ordered(texts: pd.Series, order: Sequence[str] | None, name: str) -> tuple[list[str], bool]:
    present = set(texts)
    if order is not None:
        lacking = sorted(present - set(order))
        if lacking or len(set(order)) < len(order):
            what = f"{', '.join(lacking)} are not in it" if lacking else "a value stands twice"
            raise PredictionsError(
                f"the order of {name!r} is not one of its values: {what}.",
                where="--order",
                fix=f"give all of {', '.join(sorted(present))}.",
            )
        return [value for value in order if value in present], True
    for known in _ORDERS:
        if present <= set(known):
            return [value for value in known if value in present], True
    numbers = pd.to_numeric(pd.Series(sorted(present)), errors="coerce")
    if numbers.notna().all():
        ranked = sorted(present, key=float)
        if len(ranked) > _MANY_KINDS:
            raise PredictionsError(
                f"{name!r} has {len(ranked)} values; groups are needed.",
                where="--outcome",
                fix="give a column of classes, or --positive with one of its values.",
            )
        return ranked, True
    if len(present) > _MANY_KINDS:
        raise PredictionsError(
            f"{name!r} has {len(present)} values; groups are needed.",
            where="--outcome",
            fix="give a column of classes, or --positive with one of its values.",
        )
    return sorted(present), False


def _check_groups(name: str, codes: NDArray[np.int64], known: pd.Series) -> None:
    if len(codes) < 2:
        raise PredictionsError(
            f"{name!r} has one value in all {int(known.sum())} rows that have one: there is "
            "nothing to go together with.",
            where="--outcome",
            fix="give another column, or rows of more than one group.",
        )


def _is_no_feature(name: str) -> bool:
    return name in _NO_FEATURES or name.endswith(("_id", "_uid", "_date", "_hash"))


def _feature(name: str, column: pd.Series) -> Feature | None:
    if pd.api.types.is_datetime64_any_dtype(column):
        return None
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        values = column.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        distinct = np.unique(values[np.isfinite(values)])
        values = np.where(np.isfinite(values), values, np.nan)
        if len(distinct) and np.isin(distinct, (0.0, 1.0)).all():
            return Feature(name, "binary", values, ("no", "yes"))
        whole = bool((distinct == np.round(distinct)).all())
        few = whole and len(distinct) <= _FEW_NUMBERS
        return Feature(name, "ordered" if few else "continuous", values)
    texts = column.map(_text, na_action="ignore")
    levels = sorted(texts.dropna().unique())
    if not levels:
        return Feature(name, "continuous", np.full(len(column), np.nan))
    numbers = pd.to_numeric(texts, errors="coerce")
    if numbers.notna().sum() == texts.notna().sum():
        return _feature(name, numbers.astype("float64"))
    if len(levels) > _MANY_KINDS:
        return None
    for known in _ORDERS:
        if set(levels) <= set(known):
            levels = [value for value in known if value in levels]
            codes = texts.map({level: float(index) for index, level in enumerate(levels)})
            return Feature(name, "ordered", codes.to_numpy(np.float64), tuple(levels))
    codes = texts.map({level: float(index) for index, level in enumerate(levels)})
    kind: Kind = "binary" if len(levels) <= 2 else "category"
    return Feature(name, kind, codes.to_numpy(np.float64), tuple(levels))


def _text(value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
