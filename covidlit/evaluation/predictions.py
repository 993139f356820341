"""The predictions table: the one thing that statistics, comparisons, fusion and reports read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from covidlit.cohort.columns import text
from covidlit.counted import counted
from covidlit.errors import PredictionsError
from covidlit.tables import read_table, row_texts, validate, without_lines, write_table

PARTS = ("validation", "test")
"""The parts whose scans have a row; scans of the training part are never scored for statistics."""

REQUIRED = ("part", "patient_id", "scan_id", "class_name", "target", "score")
"""Columns that a table must bring; the other columns of the schema are added when absent."""

RUN_COLUMNS = ("run_id", "model", "seed", "fold", "repeat")
"""Columns that say which run a row belongs to."""

IDENTITY = (*RUN_COLUMNS, "scan_id")
"""Columns that together name a row: each combination occurs once."""

NO_SCORE = "marked ok without a score"
"""The reason of a scan that a table does not mark as refused, and that has no score even so."""

_FRACTION = pa.Check.in_range(0.0, 1.0, error="a score is a probability from 0 to 1")


def _text(*, nullable: bool = False, required: bool = True) -> pa.Column:
    return text(dtype="string", nullable=nullable, required=required)


PREDICTIONS_SCHEMA = pa.DataFrameSchema(
    {
        "run_id": _text(nullable=True, required=False),
        "model": _text(nullable=True, required=False),
        "seed": pa.Column("Int64", nullable=True, required=False, coerce=True),
        "fold": pa.Column("Int64", nullable=True, required=False, coerce=True),
        "repeat": pa.Column(
            "Int64",
            pa.Check.ge(0, error="a repeat is a whole number from 0"),
            nullable=True,
            required=False,
            coerce=True,
        ),
        "part": pa.Column(
            "string", pa.Check.isin(PARTS, error="must be 'validation' or 'test'"), coerce=True
        ),
        "patient_id": _text(),
        "scan_id": _text(),
        "centre": _text(nullable=True, required=False),
        "class_name": _text(nullable=True),
        "target": pa.Column(
            "Int64", pa.Check.ge(0, error="a target is a class index, 0, 1, ..."), coerce=True
        ),
        "score": pa.Column("float64", _FRACTION, nullable=True, coerce=True),
        "status": _text(required=False),
        "reason": _text(nullable=True, required=False),
        r"^score_.+": pa.Column(
            "float64", _FRACTION, nullable=True, coerce=True, required=False, regex=True
        ),
        "synthetic": pa.Column("boolean", nullable=True, required=False, coerce=True),
    },
    strict=False,
    name="predictions",
)
"""One row per scan of the validation and test parts (contract 6).

`target` is the class index (1 = positive in a binary table). `score` is the probability of the
positive class; with more than two classes there is also one `score_<class>` column per class, in
the order of the class index. `status` is "ok", or anything else (usually "refused") for a scan
without a score, whose `reason` says why. `repeat` tells the repeats of a cross-validation apart, in
each of which every scan is tested once; null where there is one only. Every column that is not
named here is a subgroup column.
"""


def validate_predictions(table: pd.DataFrame, where: object = "predictions") -> pd.DataFrame:
    """Hold a table against the schema and the rules that span columns.

    Returns a copy with the schema's types and the optional contract columns filled in
    (`status` = "ok" where there is a score).

    Raises:
        PredictionsError: a column is missing, a value breaks the schema, a scan has two rows in
            one run and fold, a row is "ok" without a score, or without that of each class, or
            refused with one or without a reason, or a patient is in both parts of one fold.
    """
    if len(table) == 0:
        raise PredictionsError(
            "the table has no rows.", where=where, fix="predict at least the test part."
        )
    missing = [name for name in REQUIRED if name not in table.columns]
    if missing:
        raise PredictionsError(
            f"{counted(len(missing), 'column')} missing: {', '.join(map(repr, missing))}.",
            where=where,
            fix=f"a predictions table needs {', '.join(REQUIRED)}.",
        )
    table = table.reset_index(drop=True)
    for name in (*RUN_COLUMNS, "centre", "reason"):
        if name not in table.columns:
            table[name] = None
    for name in ("score", *class_score_columns(table)):
        if table[name].dtype == object:  # pandas cannot make a float of its own NA
            table[name] = table[name].where(table[name].notna(), np.nan)
    if "status" not in table.columns:
        table["status"] = np.where(table["score"].isna(), "refused", "ok")
    table = validate(table, PREDICTIONS_SCHEMA, where, PredictionsError)
    _check_rows(table, where)
    return table


def scoreless_as_refused(table: pd.DataFrame) -> pd.DataFrame:
    """Take rows that are ok, but have no score, as refused with the reason `NO_SCORE`.

    A run writes why it refused a scan; tables from elsewhere may just hold NaN. Statistics count
    such a scan as refused, and say how many there are. A table of more than two classes must have
    the score of each; a row that lacks one loses the others. A row without a status is ok, unless
    it gives a reason.

    Returns:
        The table itself where there is no such row, otherwise a changed copy.
    """
    if "score" not in table.columns:
        return table
    blank = pd.Series(pd.NA, index=table.index, dtype="string")
    status, reason = table.get("status", blank), table.get("reason", blank).astype("string")
    classes = class_score_columns(table)
    scores = ["score", *(classes if len(classes) > 2 else ())]
    stated = reason.fillna("").str.strip() != ""
    called_ok = (status == "ok").fillna(False) | (status.isna() & ~stated)
    missing = table[scores].isna().any(axis=1) & called_ok
    if not missing.any():
        return table
    filled = np.where(table["score"].isna(), "refused", "ok")
    return table.assign(
        **{name: table[name].mask(missing, np.nan) for name in ("score", *classes)},
        status=status.where(status.notna(), filled).mask(missing, "refused"),
        reason=reason.mask(missing, NO_SCORE),
    )


def count_scoreless(table: pd.DataFrame) -> dict[str, int]:
    """How many rows of each part `scoreless_as_refused` has changed; parts without any left out."""
    counts = table.loc[table["reason"] == NO_SCORE, "part"].value_counts().sort_index()
    return {str(part): int(n) for part, n in counts.items()}


def read_predictions(path: str | Path) -> pd.DataFrame:
    """Read `predictions.parquet` (or `.csv`) and validate it; see `scoreless_as_refused` too.

    Raises:
        PredictionsError: see `validate_predictions`; also a missing or unreadable file.
    """
    table = validate_predictions(scoreless_as_refused(read_table(path, PredictionsError)), path)
    return without_lines(table)  # tables of several files may be put together


def write_predictions(table: pd.DataFrame, path: str | Path) -> Path:
    """Validate a predictions table and write it (`.parquet` or `.csv`), atomically.

    Raises:
        PredictionsError: see `validate_predictions`.
    """
    return write_table(validate_predictions(table, path), path)


def accepted(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with a score, that is with status "ok"."""
    return table[table["status"] == "ok"]


def refused(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the scans that could not be scored."""
    return table[table["status"] != "ok"]


def of_one_repeat(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first repeat of a cross-validation, for counts; all where there is one."""
    if "repeat" not in table or table["repeat"].isna().all():
        return table
    return table[table["repeat"] == table["repeat"].min()]


def class_score_columns(table: pd.DataFrame) -> list[str]:
    """The `score_<class>` columns, in the order of the class index."""
    return [str(name) for name in table.columns if str(name).startswith("score_")]


def is_synthetic(table: pd.DataFrame) -> bool | None:
    """Whether any row is marked synthetic; None if the table does not say."""
    if "synthetic" not in table.columns or table["synthetic"].isna().all():
        return None
    return bool(table["synthetic"].fillna(False).any())


def _check_rows(table: pd.DataFrame, where: object) -> None:
    scored = table["score"].notna()
    ok = table["status"] == "ok"
    reason = table["reason"].fillna("").str.strip() != ""
    _refuse(
        table,
        ok & ~scored,
        "marked ok but without a score",
        "give the score, or a status other than 'ok' with a reason.",
        where,
    )
    _refuse(
        table,
        ~ok & scored,
        "refused but with a score",
        "remove the score or set the status to 'ok'.",
        where,
    )
    class_scores = class_score_columns(table)
    for name in class_scores if len(class_scores) > 2 else ():
        _refuse(
            table,
            ok & table[name].isna(),
            f"marked ok but without {name!r}",
            "give every class's score, or a status other than 'ok' with a reason.",
            where,
        )
    _refuse(table, ~ok & ~reason, "refused without a reason", "fill the column 'reason'.", where)
    _refuse(
        table,
        table.duplicated(list(IDENTITY), keep=False),
        "the same scan more than once in one run and fold",
        "keep one row per scan, or tell the runs apart in run_id, model, seed, fold or repeat.",
        where,
    )
    parts = table.groupby([*RUN_COLUMNS, "patient_id"], dropna=False)["part"].transform("nunique")
    _refuse(
        table,
        parts > 1,
        "a patient in both the validation and the test part",
        "split by patient; a threshold chosen on a test patient is not honest.",
        where,
    )


def _refuse(table: pd.DataFrame, bad: pd.Series, what: str, fix: str, where: object) -> None:
    if not bad.any():
        return
    rows: Sequence[int] = np.flatnonzero(bad.to_numpy(bool))[:5].tolist()
    texts = row_texts(table)
    named = ", ".join(f"row {texts[row]}, scan {table['scan_id'].iloc[row]!r}" for row in rows)
    more = f" and {int(bad.sum()) - len(rows)} more" if bad.sum() > len(rows) else ""
    raise PredictionsError(f"{what}: {named}{more}.", where=where, fix=fix)
