"""The page's tables as flat tables: one row per number, its interval, n and method in columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from covidlit.papers.csacnet.cases import COLUMNS

_FACTS = ("value", "low", "high", "n", "count", "method", "reason")
_RATES = ("sensitivity", "sensitivity_initially_negative", "specificity")

Row = dict[str, Any]

TABLES = {
    "figure2_left": ("contrast", "measure", "value"),
    "figure2_right": ("method", "rtpcr_initial", "measure", "value"),
    "table3": ("threshold", "measure", "value"),
    "readers": ("reader", "measure", "value"),
    "published": ("source", "where", "measure", "as_published"),
    "cases": COLUMNS,
}
"""Names of the files, and the columns by which they are known."""


def csv_tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Tables by file name: figure2_left, figure2_right, table3, readers, cases, published.

    Published numbers stand in `published` alone, as text, so that no program takes them for ours.

    Args:
        results: `Paper.to_dict()`.
    """
    tables = {
        "figure2_left": list(_left(results["figure2_left"])),
        "figure2_right": list(_right(results["figure2_right"])),
        "table3": list(_thresholds(results["table3"]["thresholds"])),
        "readers": list(_readers(results["table3"]["readers"])),
        "published": list(_published(results["published"])),
    }
    named = {name: pd.DataFrame(rows) for name, rows in tables.items() if rows}
    return named | {"cases": pd.DataFrame(results["cases"], columns=list(COLUMNS))}


def _left(records: list[Row]) -> Iterator[Row]:
    for record in records:
        points = record["operating_points"]
        where = {
            "contrast": record["name"],
            "against": record["against"],
            "threshold": points[0]["threshold"] if len(points) == 1 else None,
        }
        for measure in ("auc", "sensitivity", "specificity"):
            yield where | _row(measure, record[measure])


def _right(records: list[Row]) -> Iterator[Row]:
    for record in records:
        for group, found in record["groups"].items():
            where = {"method": record["name"], "rtpcr_initial": group}
            for measure in ("auc", "sensitivity", "specificity"):
                yield where | _row(measure, found[measure])
        where = {"method": record["name"], "rtpcr_initial": "positive minus negative"}
        for measure in ("auc", "sensitivity"):
            yield where | _test(f"{measure} difference", record[f"{measure}_test"])


def _thresholds(rows: list[Row]) -> Iterator[Row]:
    for row in rows:
        for measure in (*_RATES, "ppv", "npv"):
            if measure in row:
                yield {"threshold": row["threshold"]} | _row(measure, row[measure])


def _readers(records: list[Row]) -> Iterator[Row]:
    for record in records:
        where = {"reader": record["name"]}
        for measure in (*_RATES, "auc", "seconds"):
            if record[measure] is not None:
                yield where | _row(measure, record[measure])
        versus = record["versus_model"]
        if versus is not None:
            for measure in ("sensitivity", "specificity"):
                yield where | _test(f"{measure}, model minus reader", versus[measure])
            at = versus["at_reader_specificity"]
            text = "sensitivity at the reader's specificity"
            yield where | _row(f"model's {text}", at["sensitivity"])
            yield where | _test(f"{text}, model minus reader", at["difference"])


def _published(record: Row) -> Iterator[Row]:
    source = {"source": f"published, another cohort ({record['label']})"}
    for figure in ("figure2_left", "figure2_right"):
        for row in record[figure]["rows"]:
            where = source | {"where": record[figure]["where"], "row": row["name"]}
            for measure in ("auc", "sensitivity", "specificity"):
                yield where | {"measure": measure, "as_published": row[measure]}
    table = record["table3"]
    for row in (*table["readers"], *table["thresholds"]):
        where = source | {"where": table["where"], "row": row["name"]}
        for measure, text in row.items():
            if measure != "name":
                yield where | {"measure": measure, "as_published": text}


def _row(measure: str, estimate: Row) -> Row:
    return {"measure": measure} | {fact: estimate.get(fact) for fact in _FACTS}


def _test(measure: str, test: Row) -> Row:
    row = _row(measure, test["difference"])
    return row | {
        "test": test["method"],
        "p_value": test["p_value"],
        "p_holm": test["p_holm"],
        "reason": test.get("reason") or row["reason"],
    }
