"""One self-contained `comparison.html`, `comparison.csv` and `comparison.json` of survival runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.evaluation.comparison_figures import forest_figure
from covidlit.evaluation.comparison_report import JSON, PAGE, TABLE
from covidlit.evaluation.comparison_table import COLUMNS
from covidlit.evaluation.estimate import format_level
from covidlit.evaluation.report import page_template
from covidlit.files import write_json, write_text
from covidlit.tables import write_table


def write_survival_comparison(
    results: dict[str, Any],
    out_dir: str | Path,
    *,
    title: str = "Comparison of models",
    command: str | None = None,
) -> Path:
    """Write the page, the table and the JSON into `out_dir`, atomically; returns the page's path.

    Args:
        results: of `covidlit.evaluation.survival.compare.compare_survival`.
        out_dir: folder, made if needed.
        title: heading of the page.
        command: the command line that made it.

    Raises:
        CovidlitError: the folder cannot be written.
    """
    folder = Path(out_dir)
    write_json(folder / JSON, results | {"command": command})
    table = pd.DataFrame(_rows(results)).reindex(columns=list(COLUMNS)).astype({"seed": "Int64"})
    write_table(table, folder / TABLE)
    level = results["settings"]["confidence"]
    synthetic = bool(results["synthetic"])
    ranked = [test for test in results["tests"] if test["measure"] == "concordance"]
    page = page_template("comparison_of_survival.html.j2", "covidlit.evaluation.survival").render(
        title=title,
        command=command,
        results=results,
        test=results["test"],
        figures={"forest": forest_figure(ranked, synthetic, "concordances")},
        synthetic=synthetic,
        level=format_level(level),
        alpha=f"{100 * (1 - level):.10g}%",
        cross_validated=any(model["cross_validated"] for model in results["models"]),
        headline=[
            text
            for test, text in zip(results["tests"], results["conclusions"], strict=True)
            if test["family"] != "Brier score"
        ],
    )
    return write_text(folder / PAGE, page)


def _rows(results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One row per result, as in the comparisons of classes."""
    for model in results["models"]:
        for code, record in model["measures"].items():
            row = {"result": "model", "measure": code, "model": model["model"]}
            yield row | _estimate(record)
    for test in results["tests"]:
        row = {"result": "difference", "model": test["first"], "minus": test["second"]}
        row |= {"measure": test["measure"], "test": test["method"], "family": test["family"]}
        row |= {name: test[name] for name in ("statistic", "p_value", "p_holm")}
        row |= {"n_tests": results["families"][test["family"]]}
        row |= _estimate(test["difference"])
        yield row | ({"reason": test["reason"]} if "reason" in test else {})


def _estimate(record: dict[str, Any]) -> dict[str, Any]:
    row = {name: record[name] for name in ("value", "low", "high", "n")}
    return row | {"interval": record["method"], "reason": record.get("reason")}
