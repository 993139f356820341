"""The tables of a call of `covidlit quantify`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.factor_definitions import definitions_markdown
from covidlit.dicom.other_objects import OtherObject
from covidlit.files import write_text
from covidlit.lesions import FACTORS_SCHEMA, LESIONS_SCHEMA, validate_factors, validate_lesions
from covidlit.lesions.spread import SPREAD_COLUMNS, spread_markdown
from covidlit.lesions.trend import CHANGE_COLUMNS, TREND_COLUMNS, trend_table
from covidlit.quantify.scan import Quantified
from covidlit.quantify.severity import (
    SEVERITY_COLUMNS,
    SEVERITY_TABLE,
    VALUE_COLUMNS,
    VALUES_TABLE,
    severity_table,
    values_table,
)
from covidlit.tables import check_own_table, write_table

FACTORS_TABLE, LESIONS_TABLE = "factors.parquet", "lesions.parquet"
SCANS_TABLE, DEFINITIONS = "scans.csv", "factors.md"
TREND_TABLE, CHANGES_TABLE, SPREAD_TABLE = "trend.csv", "lesion_changes.csv", "spread.parquet"
SCAN_COLUMNS = (
    "scan_id", "path", "patient_id", "acquisition_date", "status", "reason", "notes", "labelled_by",
)  # fmt: skip


@dataclass(frozen=True)
class Results:
    """The tables of a call.

    Args:
        factors, lesions: contract 8, of the scans that could be measured.
        scans: a row for each scan that was found: `SCAN_COLUMNS`, `status` "ok" or "refused".
        trend: of `covidlit.lesions.trend.trend_table`, of the same scans.
        changes: what became of the lesions between a patient's scans, `CHANGE_COLUMNS`.
        severity: `SEVERITY_COLUMNS`, a row for each scan that was measured; none without a model.
        n_known: scans that an earlier call had done.
        dropped: scans of an earlier call that are not there now: their rows and pages are gone.
        others: what lies among the scans and is none, such as results of an earlier call.
    """

    factors: pd.DataFrame
    lesions: pd.DataFrame
    scans: pd.DataFrame
    trend: pd.DataFrame
    changes: pd.DataFrame
    severity: pd.DataFrame
    n_known: int
    dropped: tuple[str, ...] = ()
    others: tuple[OtherObject, ...] = ()


def check_own_tables(out: Path, path: Path) -> None:
    """Refuse a folder in which a table would be written over that is not of this command.

    Args:
        out: folder of the results.
        path: of the scans, which may be a manifest.

    Raises:
        ConfigError: names the table.
    """
    for name, columns in (
        (FACTORS_TABLE, FACTORS_SCHEMA.columns),
        (LESIONS_TABLE, LESIONS_SCHEMA.columns),
        (SCANS_TABLE, SCAN_COLUMNS[:-1]),  # earlier ones lack the last, as of changes
        (TREND_TABLE, TREND_COLUMNS),
        (CHANGES_TABLE, CHANGE_COLUMNS[:-1]),
        (SPREAD_TABLE, SPREAD_COLUMNS),
        (SEVERITY_TABLE, SEVERITY_COLUMNS),
        (VALUES_TABLE, VALUE_COLUMNS),
    ):
        check_own_table(out / name, columns, "covidlit quantify", [path])


def is_results_folder(folder: Path) -> bool:
    """Whether a folder is one that `covidlit quantify` has written."""
    return all((folder / name).is_file() for name in (SCANS_TABLE, FACTORS_TABLE, DEFINITIONS))


def written(done: list[Quantified], rows: list[dict[str, Any]], out: Path) -> Results:
    """Write the tables of the scans that were measured.

    Args:
        done: the scans, in the order of the tables.
        rows: of `SCAN_COLUMNS`, of all scans that were found.
        out: folder of the results.
    """
    factors = pd.DataFrame([one.factors for one in done], columns=_columns(done))
    tables = [one.lesions for one in done if len(one.lesions)]
    lesions = (
        pd.concat(tables, ignore_index=True)
        if tables
        else pd.DataFrame(columns=list(LESIONS_SCHEMA.columns))
    )
    scans = pd.DataFrame(rows, columns=list(SCAN_COLUMNS))
    trend = pd.DataFrame(columns=list(TREND_COLUMNS))
    changes = pd.DataFrame(
        [row for one in done for row in one.changes], columns=list(CHANGE_COLUMNS)
    )
    spreads = pd.DataFrame(
        [{**_ids(one), **row} for one in done for row in one.spread],
        columns=["patient_id", "scan_id", *SPREAD_COLUMNS],
    )
    severity, values = severity_table(done), values_table(done)
    if done:
        factors = validate_factors(factors)
        lesions = validate_lesions(lesions)
        trend = trend_table(factors)
        write_text(
            out / DEFINITIONS,
            definitions_markdown() + (spread_markdown(spreads) if len(spreads) else ""),
        )
    for name, table, there in (
        (FACTORS_TABLE, factors, done),
        (LESIONS_TABLE, lesions, done),
        (TREND_TABLE, trend, done),
        (CHANGES_TABLE, changes, len(changes)),
        (SPREAD_TABLE, spreads, len(spreads)),
        (SEVERITY_TABLE, severity, len(severity)),
        (VALUES_TABLE, values, len(values)),
    ):
        if there:
            write_table(table, out / name)
        else:  # lest one of a former call stands beside what is measured now
            (out / name).unlink(missing_ok=True)
    write_table(scans, out / SCANS_TABLE)
    return Results(factors, lesions, scans, trend, changes, severity, 0)


def _ids(one: Quantified) -> dict[str, Any]:
    return {name: one.factors[name] for name in ("patient_id", "scan_id")}


def _columns(done: Iterable[Quantified]) -> list[str]:
    """Those of contract 8 first, then further ones in the order in which they come."""
    further: Iterator[str] = (name for one in done for name in one.factors)
    return list(dict.fromkeys([*FACTORS_SCHEMA.columns, *further]))
