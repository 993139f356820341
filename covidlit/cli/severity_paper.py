"""`covidlit paper --paper severity`: the severity paper's figures beside those of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.cli.recorded_command import recorded_command

if TYPE_CHECKING:
    from rich.table import Table


def severity_paper(
    runs: Sequence[str],
    out: Path,
    operating_point: str | None,
    bootstrap: int,
    confidence: float,
    seed: int,
) -> None:
    """Write the page, and print its table and remarks; the arguments are those of the command."""
    from covidlit.evaluation.runs import finished_runs
    from covidlit.papers.methods import read_methods, run_rule
    from covidlit.papers.severity import check_own_severity, detection, write_severity
    from covidlit.terminal import headed, plain_console

    check_own_severity(out)
    found, skipped = finished_runs(list(runs), at_least=1)
    results = detection(
        read_methods(found),
        operating_point=operating_point or run_rule(found[0]) or "auto",
        n_bootstrap=bootstrap,
        confidence=confidence,
        seed=seed,
        skipped=skipped,
    )
    command = recorded_command(
        "paper",
        found,
        paper="severity",
        out=out,
        operating_point=operating_point,
        bootstrap=bootstrap,
        confidence=confidence,
        seed=seed,
    )
    page = write_severity(results, out, command=command)
    console = plain_console()
    console.print(detection_summary(results))
    published = (text for figures in results["published"].values() for text in figures["remarks"])
    for remark in (*results["remarks"], *published):
        console.print(headed("•", "yellow", remark))
    console.print(f"Page: {page}", soft_wrap=True)


def detection_summary(results: dict[str, Any]) -> Table:
    """Sensitivity and specificity of each method, the published ones last."""
    from rich.table import Table

    from covidlit.evaluation import Estimate, format_estimate
    from covidlit.evaluation.estimate import format_level

    level = format_level(results["settings"]["confidence"])
    synthetic = " (SYNTHETIC DATA)" if results["synthetic"] else ""
    table = Table(title=f"Detection{synthetic}")
    for name in ("method", "at", f"sensitivity, {level} CI", f"specificity, {level} CI"):
        table.add_column(name)
    for record in results["methods"]:
        for at, found in (("operating point", record), ("score 0.5", record["at_half"])):
            cells = [
                format_estimate(Estimate.from_dict(found[name]), percent=True)
                for name in ("sensitivity", "specificity")
            ]
            table.add_row(record["name"], at, *cells)
    for figures in results["published"].values():
        name = f"published, other patients ({figures['label']})"
        table.add_row(name, "", figures["sensitivity"], figures["specificity"])
    return table
