"""`severity.html`, `severity.json` and `detection.csv`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.evaluation.estimate import format_level
from covidlit.evaluation.report import page_template
from covidlit.files import check_own_json, check_own_page, write_json, write_text
from covidlit.tables import check_own_table, write_table

_GENERATOR = "covidlit paper"
_FACTS = ("value", "low", "high", "n", "count", "method", "reason")
_COLUMNS = ("model", "at", "measure", *_FACTS, "as_published")


def check_own_severity(out_dir: str | Path) -> None:
    """Make sure that `write_severity` writes over nothing but an earlier page and its table.

    Raises:
        CovidlitError: another file lies there, or the folder cannot be written.
    """
    folder = Path(out_dir)
    check_own_page(folder / "severity.html", _GENERATOR)
    check_own_json(folder / "severity.json", ("format", "methods", "published"), _GENERATOR)
    check_own_table(folder / "detection.csv", _COLUMNS, _GENERATOR)


def write_severity(
    results: Mapping[str, Any], out_dir: str | Path, *, command: str | None = None
) -> Path:
    """Write page, numbers and table into `out_dir`, atomically; returns the page.

    Args:
        results: of `covidlit.papers.severity.detection.detection`.
        out_dir: folder, made if needed.
        command: the command line, for the record.

    Raises:
        CovidlitError: the folder cannot be written.
    """
    folder = Path(out_dir)
    page = page_template("severity.html.j2", "covidlit.papers.severity").render(
        results=results,
        published=list(results["published"].values()),
        synthetic=bool(results["synthetic"]),
        level=format_level(results["settings"]["confidence"]),
        command=command,
        figures={},
    )
    write_json(folder / "severity.json", {**results, "command": command})
    write_table(detection_table(results), folder / "detection.csv")
    return write_text(folder / "severity.html", page)


def detection_table(results: Mapping[str, Any]) -> pd.DataFrame:
    """One row per method, operating point and measure; what is published stands as text alone."""
    rows: list[dict[str, Any]] = []
    for record in results["methods"]:
        for at, found, measures in (
            ("operating point", record, ("auc", "sensitivity", "specificity")),
            ("score 0.5", record["at_half"], ("sensitivity", "specificity")),
        ):
            for name in measures:
                facts = {fact: found[name].get(fact) for fact in _FACTS}
                rows.append({"model": record["name"], "at": at, "measure": name, **facts})
    for figures in results["published"].values():
        model = f"published, other patients ({figures['label']})"
        for name in ("sensitivity", "specificity"):
            rows.append({"model": model, "measure": name, "as_published": figures[name]})
    return pd.DataFrame(rows, columns=list(_COLUMNS))
