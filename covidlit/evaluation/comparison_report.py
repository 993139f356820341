"""One self-contained `comparison.html`, `comparison.csv` and `comparison.json`."""

from __future__ import annotations

from pathlib import Path

from covidlit.evaluation import comparison_figures as figures
from covidlit.evaluation.compare import FAMILIES, Comparison
from covidlit.evaluation.comparison_table import COLUMNS, comparison_table
from covidlit.evaluation.estimate import format_level
from covidlit.evaluation.report import page_template
from covidlit.evaluation.row_names import SCAN, page_in_unit
from covidlit.files import check_own_json, check_own_page, write_json, write_text
from covidlit.tables import check_own_table, write_table

PAGE, TABLE, JSON = "comparison.html", "comparison.csv", "comparison.json"
_COMMAND = "covidlit compare"


def check_own_comparison(out_dir: str | Path) -> None:
    """Make sure that `write_comparison` writes over nothing but an earlier comparison.

    Raises:
        CovidlitError: another file lies there, or the folder cannot be written.
    """
    folder = Path(out_dir)
    check_own_page(folder / PAGE, _COMMAND, older="<footer>Made by covidlit from the predictions")
    check_own_table(folder / TABLE, COLUMNS, _COMMAND)
    check_own_json(folder / JSON, ("format", "models", "tests", "command"), _COMMAND)


def write_comparison(
    comparison: Comparison,
    out_dir: str | Path,
    *,
    title: str = "Comparison of models",
    command: str | None = None,
    unit: str = SCAN,
) -> Path:
    """Write the page, the table and the JSON into `out_dir`, atomically; returns the page's path.

    Args:
        comparison: result of `compare`.
        out_dir: folder, made if needed.
        title: heading of the page.
        command: the command line that made it.
        unit: what a row is, such as "patient".

    Raises:
        CovidlitError: the folder cannot be written.
    """
    folder = Path(out_dir)
    page = render_comparison(comparison, title=title, command=command, unit=unit)
    write_json(folder / JSON, comparison.to_dict() | {"command": command})
    write_table(comparison_table(comparison.results), folder / TABLE)
    return write_text(folder / PAGE, page)


def render_comparison(
    comparison: Comparison,
    *,
    title: str = "Comparison of models",
    command: str | None = None,
    unit: str = SCAN,
) -> str:
    """The page as HTML text; everything it needs is inside."""
    results = comparison.results
    synthetic, target = bool(results["synthetic"]), comparison.target
    models = results["models"]
    auc_tests = [test for test in results["tests"] if test["measure"] == "auc"]
    drawn = {
        "forest": figures.forest_figure(auc_tests, synthetic),
        "spread": figures.spread_figure(models, synthetic),
    }
    if target.any() and not target.all():
        drawn["overlay"] = figures.overlay_figure(target, comparison.scores, models, synthetic)
    level = results["settings"]["confidence"]
    page = page_template("comparison.html.j2").render(
        title=title,
        command=command,
        results=results,
        test=results["test"],
        figures=drawn,
        synthetic=synthetic,
        level=format_level(level),
        alpha=f"{100 * (1 - level):.10g}%",
        auc_tests=auc_tests,
        decision_tests=[test for test in results["tests"] if test["measure"] != "auc"],
        auc_conclusions=[
            text
            for test, text in zip(results["tests"], results["conclusions"], strict=True)
            if test["measure"] == "auc"
        ],
        family={name: results["families"][family] for name, family in FAMILIES.items()},
        cross_validated=any(model["cross_validated"] for model in models),
        several_seeds=any(model["n_seeds"] > 1 for model in models),
    )
    return page_in_unit(page, unit)
