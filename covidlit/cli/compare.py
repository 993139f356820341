"""`covidlit compare`: models on the same test scans, with paired tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from covidlit.cli.compare_survival import compare_survival_runs, of_survival
from covidlit.cli.recorded_command import recorded_command
from covidlit.counted import counted

if TYPE_CHECKING:
    from rich.table import Table


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Run folders or predictions tables, two or more. Runs of one model are its seeds "
            "(or the folds of one cross-validation); LABEL=RUN names the model of a run anew. "
            "Folders of unfinished runs are skipped, and said so.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for comparison.html, comparison.csv and comparison.json.")
    ] = Path("comparison"),
    operating_point: Annotated[
        str,
        typer.Option(
            help="How to choose each model's threshold on its validation scans: youden, "
            "'sensitivity>=0.9', 'specificity>=0.9'; or a number fixed beforehand. auto: youden "
            "where the validation scans allow it, otherwise 0.5."
        ),
    ] = "auto",
    mcnemar: Annotated[
        str, typer.Option(help="Variant of McNemar's test: exact, mid-p or chi2.")
    ] = "exact",
    bootstrap: Annotated[
        int, typer.Option(help="Bootstrap samples, where patients have several scans.", min=100)
    ] = 2000,
    confidence: Annotated[
        float, typer.Option(help="Level of all intervals; 1 - level is that of the tests.")
    ] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Comparison of models",
) -> None:
    """Compare models on the same test scans: differences with intervals, tests, spread over seeds.

    Runs with other test scans are refused, and which ones differ is said. Of runs of times to an
    event concordance, time-dependent AUC and Brier score are compared.
    """
    from covidlit.evaluation.compare import compare as compute
    from covidlit.evaluation.comparison_report import check_own_comparison, write_comparison
    from covidlit.evaluation.row_names import in_unit
    from covidlit.evaluation.run_report import unit_of_runs
    from covidlit.evaluation.runs import finished_runs
    from covidlit.evaluation.seed_runs import read_labelled
    from covidlit.terminal import plain_console

    check_own_comparison(out)
    if of_survival(runs):
        given = {
            "operating_point": operating_point, "mcnemar": mcnemar, "bootstrap": bootstrap,
            "confidence": confidence, "seed": seed,
        }  # fmt: skip
        compare_survival_runs(runs, out, given, title=title)
        return
    runs, skipped = finished_runs(runs, at_least=2)
    comparison = compute(
        read_labelled(runs),
        operating_point=operating_point,
        mcnemar=mcnemar,
        n_bootstrap=bootstrap,
        seed=seed,
        confidence=confidence,
        skipped=skipped,
    )
    command = recorded_command(
        "compare",
        runs,
        out=out,
        operating_point=operating_point,
        mcnemar=mcnemar,
        bootstrap=bootstrap,
        confidence=confidence,
        seed=seed,
        title=title,
    )
    unit = unit_of_runs(runs)
    page = write_comparison(comparison, out, title=title, command=command, unit=unit)
    console = plain_console()
    console.print(models_table(comparison.results, unit))
    if comparison.results["tests"]:
        console.print(tests_table(comparison.results))
    for test, text in zip(
        comparison.results["tests"], comparison.results["conclusions"], strict=True
    ):
        if test["measure"] == "auc":
            console.print(f"• {in_unit(text, unit)}")
    for note in comparison.results["notes"]:
        text = in_unit(note["text"], unit)
        console.print(f"• {text}", style="yellow")
    console.print(f"Report: {page}", soft_wrap=True)


def models_table(results: dict[str, Any], unit: str = "scan") -> Table:
    """The models with their intervals and the spread over their seeds, for the terminal.

    Args:
        results: of `covidlit.evaluation.compare.compare`.
        unit: what a row is.
    """
    from rich.table import Table

    from covidlit.evaluation.estimate import Estimate, format_estimate, format_level

    level, test = format_level(results["settings"]["confidence"]), results["test"]
    synthetic = " (SYNTHETIC DATA)" if results["synthetic"] else ""
    repeats = f" in {test['n_repeats']} repeats" if test["n_repeats"] > 1 else ""
    rows = f"{counted(test['n_compared'], f'test {unit}')}{repeats}"
    table = Table(title=f"Models on {rows}, {level} CI{synthetic}")
    for name in ("model", "seeds", "AUC", "AUC by seed: mean, SD", "sensitivity", "specificity"):
        table.add_column(name)
    for model in results["models"]:
        over = model["auc_over_seeds"]
        by_seed = "–" if over["sd"] is None else f"{over['mean']:.3f}, {over['sd']:.3f}"
        auc, sensitivity, specificity = (
            Estimate.from_dict(model[name]) for name in ("auc", "sensitivity", "specificity")
        )
        table.add_row(
            model["model"],
            str(model["n_seeds"]),
            format_estimate(auc),
            by_seed,
            format_estimate(sensitivity, percent=True),
            format_estimate(specificity, percent=True),
        )
    return table


def tests_table(results: dict[str, Any]) -> Table:
    """The tests of all pairs, for the terminal."""
    from rich.table import Table

    from covidlit.evaluation.difference import format_p
    from covidlit.evaluation.estimate import Estimate, format_estimate, format_level

    level = format_level(results["settings"]["confidence"])
    counts = ", ".join(f"{name} {n}" for name, n in results["families"].items())
    table = Table(title=f"Differences, {level} CI; tests in each family: {counts}")
    for name in ("first minus second", "measure", "difference", "p", "Holm", "test"):
        table.add_column(name)
    for test in results["tests"]:
        difference = Estimate.from_dict(test["difference"])
        table.add_row(
            f"{test['first']} − {test['second']}",
            test["measure"],
            format_estimate(difference, percent=test["measure"] != "auc"),
            format_p(test["p_value"]).removeprefix("p ").removeprefix("= "),
            format_p(test["p_holm"]).removeprefix("p ").removeprefix("= "),
            test["method"],
        )
    for test in results.get("over_trainings", ()):
        table.add_row(
            f"{test['first']} − {test['second']}",
            "auc, other trainings",
            format_estimate(Estimate.from_dict(test["difference"])),
            format_p(test["p_value"]).removeprefix("p ").removeprefix("= "),
            "–",
            test["method"],
        )
    return table
