"""The settings of an evaluation, held against values and rows before there is any score."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real

import pandas as pd

from covidlit.errors import PredictionsError, did_you_mean
from covidlit.evaluation.operating_point import check_operating_point, parse_rule
from covidlit.evaluation.predictions import accepted

SETTINGS = ("operating_point", "subgroups", "n_bootstrap", "confidence")
"""The arguments of `evaluate` that `conf/evaluation` sets."""


def check_settings(
    *,
    operating_point: str | float = "auto",
    subgroups: Sequence[str] | None = None,
    n_bootstrap: int = 2000,
    confidence: float = 0.95,
) -> None:
    """Refuse settings that suit no table; the arguments are those of `evaluate`.

    Raises:
        PredictionsError: names the setting.
    """
    parse_rule(operating_point)
    if subgroups is not None and not _are_names(subgroups):
        raise PredictionsError(
            f"must be a list of columns, not {subgroups!r}.",
            where="subgroups",
            fix=f"write [{subgroups}]." if isinstance(subgroups, str) else "for example [sex].",
        )
    if not isinstance(n_bootstrap, Integral) or n_bootstrap < 100:
        raise PredictionsError(
            f"must be a whole number of at least 100, not {n_bootstrap!r}.",
            where="n_bootstrap",
            fix="2000 is usual.",
        )
    if not isinstance(confidence, Real) or not 0 < confidence < 1:
        percent = isinstance(confidence, Real) and 1 < confidence < 100
        raise PredictionsError(
            f"must lie between 0 and 1, not {confidence!r}.",
            where="confidence",
            fix=f"did you mean {confidence / 100:g}?" if percent else "0.95 is usual.",
        )


def check_rows(
    table: pd.DataFrame,
    *,
    operating_point: str | float = "auto",
    subgroups: Sequence[str] | None = None,
) -> None:
    """Refuse settings that do not suit the rows of a table, whatever their scores will be.

    Args:
        table: a predictions table with `target` 0 or 1; `score` is not looked at.
        operating_point: see `evaluate`.
        subgroups: see `evaluate`.

    Raises:
        PredictionsError: names the setting, or says that there is no test scan to score.
    """
    check_test_part(table)
    check_operating_point(table, operating_point)
    check_columns(table, subgroups or ())


def check_test_part(table: pd.DataFrame) -> None:
    """Refuse a table without a scan of the test part that is not refused.

    Raises:
        PredictionsError: there is none; says why.
    """
    test = table[table["part"] == "test"]
    if len(test) == 0:
        raise PredictionsError(
            "there is no test part.", where="predictions", fix="predict the test part as well."
        )
    if len(accepted(test)) == 0:
        reasons = test["reason"].value_counts().head(3)
        named = "; ".join(f"{reason} ({n})" for reason, n in reasons.items())
        raise PredictionsError(
            f"all {len(test)} test scans were refused: {named}.",
            where="predictions",
            fix="mend the scans or override the check that refused them.",
        )


def check_columns(table: pd.DataFrame, subgroups: Sequence[str]) -> None:
    """Refuse subgroups that are no columns of the table.

    Raises:
        PredictionsError: names the column and suggests what was meant.
    """
    columns = [str(name) for name in table.columns]
    for name in subgroups:
        if name not in columns:
            raise PredictionsError(
                f"there is no column {name!r}.",
                where="subgroups",
                fix=did_you_mean(name, columns) or f"choose from {', '.join(columns)}.",
            )


def _are_names(values: object) -> bool:
    return (
        isinstance(values, Sequence)
        and not isinstance(values, str)
        and all(isinstance(name, str) for name in values)
    )
