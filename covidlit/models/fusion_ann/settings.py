"""The settings of a preparation as they stand in a checkpoint: plain numbers, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from covidlit.errors import ConfigError

TRANSFORMS = ("quantile", "standard")
FIELDS = ("transform", "columns", "names", "reference", "bound", "fill", "indicators")
_ROUNDING = 1e-9


def check_preparation(settings: Mapping[str, Any]) -> None:
    """Refuse settings that no training has fitted; see `Preparation` for what they are.

    Raises:
        ConfigError: they do not fit together, or are no numbers.
    """
    try:
        problem = _problem_of(settings)
    except (TypeError, ValueError) as error:
        problem = f"the preparation holds something else than numbers ({error})."
    if problem:
        raise ConfigError(
            problem, where="preparation", fix="let a training fit it: set it to null."
        )


def check_columns(settings: Mapping[str, Any], columns: Sequence[str] | None) -> None:
    """Refuse a preparation that takes other numbers than those that it names.

    Args:
        settings: of the preparation.
        columns: names of the raw numbers, in order; None: not known.

    Raises:
        ConfigError: it does.
    """
    if columns is None:
        return
    for place, name in zip(settings.get("columns", ()), settings.get("names", ()), strict=False):
        if not isinstance(place, int) or not 0 <= place < len(columns) or columns[place] != name:
            raise ConfigError(
                f"the preparation takes {name} from column {place!r} of the {len(columns)} raw "
                "numbers, where it is not.",
                where="preparation",
                fix="let a training fit it: set it to null.",
            )


def check_calibration(folds: Any, members: Any) -> None:
    """Refuse numbers of folds and of members for each that no calibration can have.

    Raises:
        ConfigError: names them.
    """
    whole = all(
        isinstance(value, int) and not isinstance(value, bool) for value in (folds, members)
    )
    if not whole or folds < 0 or folds == 1 or members < 1:
        raise ConfigError(
            f"must be 0 or at least 2 folds of at least 1 member, not {folds!r} of {members!r}.",
            where="calibration_folds",
            fix="use calibration_folds=5 calibration_members=2, or calibration_folds=0.",
        )


def _problem_of(settings: Mapping[str, Any]) -> str:
    """Why numbers of a preparation fit no training, or were changed after it; empty if they fit."""
    if lacking := [name for name in FIELDS if name not in settings]:
        return f"the preparation lacks {', '.join(lacking)}."
    columns: Sequence[int] = settings["columns"] or ()
    rows: Sequence[Sequence[float]] = settings["reference"] or ()
    n = len(columns)
    if not n or not n == len(rows) == len(settings["fill"]) == len(settings["names"]):
        return (
            f"the preparation has {n} columns, {len(rows)} rows of reference, "
            f"{len(settings['fill'])} fills and {len(settings['names'])} names."
        )
    if settings["transform"] not in TRANSFORMS:
        return f"the preparation has a transform {settings['transform']!r}."
    if not all(_is_place(column) for column in columns) or len(set(columns)) != n:
        return f"the preparation's columns are {list(columns)}: one is no place, or there twice."
    if not 0 < settings["bound"] < 0.5:
        return f"the preparation's bound is {settings['bound']!r}, and must be between 0 and 0.5."
    quantile = settings["transform"] == "quantile"
    for name, row in zip(settings["names"], rows, strict=True):
        size = len(rows[0]) if quantile else 2
        if len(row) != size or not size or not all(map(math.isfinite, row)):
            return f"the preparation's reference of {name} is not {size} finite numbers."
        if quantile and any(a - b > _ROUNDING * abs(a) for a, b in pairwise(row)):
            return f"the preparation's reference of {name} is not sorted."
        if not quantile and not row[1] > 0:
            return f"the preparation's deviation of {name} is {row[1]!r}, and must be above 0."
    if not all(map(math.isfinite, settings["fill"])):
        return "the preparation's fill is not finite."
    for place, share in settings["indicators"]:
        if not _is_place(place) or place >= n or not 0 <= share <= 1:
            return f"the preparation's indicator [{place!r}, {share!r}] is of no feature or share."
    return ""


def _is_place(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
