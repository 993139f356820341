"""`covidlit paper`: a paper's tables and figures from predictions tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from covidlit.cli.recorded_command import recorded_command
from covidlit.cli.severity_paper import severity_paper
from covidlit.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from covidlit.papers.csacnet import Galleries


PAPERS = ("csacnet", "severity")


def paper(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Predictions table (.parquet or .csv) or the folder of the training run that "
            "wrote it; LABEL=RUN gives its method a name. The first is the method of Figure 2 "
            "left and Table 3; all are compared in Figure 2 right. Folds are pooled, seeds of one "
            "model averaged. Folders of unfinished runs are skipped, and said so.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for paper.html, paper.json and the tables as CSV.")
    ] = Path("paper"),
    paper: Annotated[
        str,
        typer.Option(
            help="csacnet: the CSAC-Net paper. severity: the severity paper's detection by "
            "thresholds on lesion factors (severity.html, severity.json, detection.csv)."
        ),
    ] = "csacnet",
    operating_point: Annotated[
        str | None,
        typer.Option(
            help="How to choose each threshold on the validation scans: youden, "
            "'sensitivity>=0.9', 'specificity>=0.9'; or a number fixed beforehand. auto: youden "
            "where the validation scans allow it, otherwise 0.5. Default: the rule in the first "
            "run's metrics.json, or auto."
        ),
    ] = None,
    covid: Annotated[str, typer.Option(help="Class of the cases (S1).")] = "covid",
    non_pneumonia: Annotated[
        str, typer.Option("--np", help="Class without pneumonia (S2).")
    ] = "np",
    cap: Annotated[str, typer.Option(help="Class of other pneumonia (S3).")] = "cap",
    reader_cut: Annotated[
        float | None,
        typer.Option(help="Lowest grade that counts as positive, for readers who gave grades."),
    ] = None,
    cases: Annotated[int, typer.Option(help="Scans of each kind for Figures 3 and 4.", min=1)] = 2,
    bootstrap: Annotated[int, typer.Option(help="Bootstrap samples.", min=100)] = 2000,
    confidence: Annotated[float, typer.Option(help="Level of all intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    heatmaps: Annotated[
        bool,
        typer.Option(
            "--heatmaps/--no-heatmaps",
            help="Draw Figures 3 and 4 where the first RUN is the folder of a network's training "
            "and its cohort is still there. Of pooled folds, those scans are drawn that the first "
            "RUN tested.",
        ),
    ] = True,
    layer: Annotated[
        str | None, typer.Option(help="Of the heatmaps; a wrong name lists them all.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Of the heatmaps: guided (default), layercam, gradcam, or activation (the "
            "paper's, with --layer last_pool)."
        ),
    ] = None,
) -> None:
    """Repeat a paper on your cohort, by default CSAC-Net's: figures and tables with intervals.

    The published numbers stand beside yours, marked as another cohort's.
    """
    of_csacnet = {
        "--covid": covid != "covid", "--np": non_pneumonia != "np", "--cap": cap != "cap",
        "--reader-cut": reader_cut is not None, "--cases": cases != 2,
        "--no-heatmaps": not heatmaps, "--layer": layer is not None, "--method": method is not None,
    }  # fmt: skip
    if _is_severity(paper, [flag for flag, given in of_csacnet.items() if given]):
        severity_paper(runs, out, operating_point, bootstrap, confidence, seed)
        return
    from covidlit.evaluation.runs import finished_runs
    from covidlit.papers.csacnet import (
        Subsets,
        check_own_paper,
        read_methods,
        run_rule,
        write_paper,
    )
    from covidlit.papers.csacnet import paper as compute
    from covidlit.terminal import headed, plain_console

    check_own_paper(out)
    runs, skipped = finished_runs(runs, at_least=1)
    methods = read_methods(runs)
    found = compute(
        methods,
        operating_point=operating_point or run_rule(runs[0]) or "auto",
        subsets=Subsets(covid, non_pneumonia, cap),
        reader_cut=reader_cut,
        n_cases=cases,
        n_bootstrap=bootstrap,
        seed=seed,
        confidence=confidence,
        skipped=skipped,
    )
    command = recorded_command(
        "paper",
        runs,
        out=out,
        operating_point=operating_point,
        covid=covid,
        np=non_pneumonia,
        cap=cap,
        reader_cut=reader_cut,
        cases=cases,
        bootstrap=bootstrap,
        confidence=confidence,
        seed=seed,
        layer=layer,
        method=method,
    )
    command += "" if heatmaps else " --no-heatmaps"
    console = plain_console()
    chosen = found.cases(cases)
    galleries = _galleries(runs[0], chosen, console, layer, method) if heatmaps else None
    page = write_paper(found, out, galleries=galleries, command=command)
    for table in summary_tables(found.to_dict()):
        console.print(table)
    for sentence in sentences(found.to_dict()):
        console.print(sentence)
    for described in found.to_dict()["methods"]:
        for remark in described["remarks"]:
            console.print(headed("•", "yellow", f"{described['name']}: {remark}"))
    for caution in found.to_dict()["cautions"]:
        console.print(headed("•", "yellow", caution["text"]))
    console.print(f"Page: {page}", soft_wrap=True)


def _is_severity(paper: str, of_csacnet: list[str]) -> bool:
    """Whether the severity paper is asked for, whose page has fewer settings.

    Args:
        paper: as given.
        of_csacnet: options of CSAC-Net's page alone that were given.

    Raises:
        ConfigError: there is no such paper, or an option is of CSAC-Net's alone.
    """
    if paper not in PAPERS:
        raise ConfigError(
            f"there is no paper {paper!r}.",
            where="--paper",
            fix=did_you_mean(paper, PAPERS) or f"use one of {', '.join(PAPERS)}.",
        )
    if paper == "severity" and of_csacnet:
        raise ConfigError(
            "it is of --paper csacnet alone.", where=of_csacnet[0], fix="leave it out."
        )
    return paper == "severity"


def _galleries(
    run: str, chosen: pd.DataFrame, console: Console, layer: str | None, method: str | None
) -> Galleries | None:
    """The pictures of Figures 3 and 4, where the first run is the folder of a network."""
    from covidlit.errors import CovidlitError
    from covidlit.papers.csacnet import Galleries
    from covidlit.terminal import headed

    label, _, named = run.partition("=")
    folder = Path(run) if Path(run).exists() else Path(named or label)
    if not any((folder / "checkpoints").glob("*.ckpt")):
        return None
    from covidlit.papers.csacnet.galleries import paper_galleries

    try:
        return paper_galleries(folder, chosen, layer=layer, method=method)
    except CovidlitError as error:  # the other results do not depend on the pictures
        note = f"No heatmaps could be made: {error}"
        console.print(headed("•", "yellow", note))
        return Galleries(note=note)


def summary_tables(results: dict[str, Any]) -> list[Table]:
    """Figure 2 and the readers as tables for the terminal."""
    from rich.table import Table

    from covidlit.evaluation.estimate import format_level
    from covidlit.papers.csacnet.wording import difference_text

    level = format_level(results["settings"]["confidence"])
    synthetic = " (SYNTHETIC DATA)" if results["synthetic"] else ""
    published = results["published"]
    marked = f"{published['label']}, another cohort"
    left = Table(title=f"Figure 2, left: {results['methods'][0]['name']}{synthetic}")
    for name in ("contrast", f"AUC, {level} CI", "sensitivity", "specificity", f"AUC, {marked}"):
        left.add_column(name)
    printed = published["figure2_left"]["rows"]
    for record, row in zip(results["figure2_left"], printed, strict=True):
        left.add_row(record["name"], *_measures(record), row["auc"])
    right = Table(title=f"Figure 2, right: first RT-PCR{synthetic}")
    for name in ("method", "cases", f"AUC, {level} CI", "sensitivity", "specificity"):
        right.add_column(name)
    right.add_column(f"AUC, {marked}")
    for place, record in enumerate(results["figure2_right"]):
        for group, row in zip(record["groups"], published["figure2_right"]["rows"], strict=True):
            text = f"{group} ({record['groups'][group]['n_positive']})"
            cells = _measures(record["groups"][group])
            right.add_row(record["name"], text, *cells, row["auc"] if place == 0 else "")
        right.add_row(
            "",
            "difference",
            difference_text(record["auc_test"]),
            difference_text(record["sensitivity_test"], percent=True),
            end_section=True,
        )
    tables = [left, right]
    if results["table3"]["readers"]:
        readers = Table(title=f"Readers{synthetic}")
        for name in ("reader", "sensitivity", "specificity", "model's sensitivity minus reader's"):
            readers.add_column(name)
        for record in results["table3"]["readers"]:
            versus = record["versus_model"]
            text = "" if versus is None else difference_text(versus["sensitivity"], percent=True)
            readers.add_row(record["name"], *_measures(record)[1:], text)
        tables.append(readers)
    return tables


def sentences(results: dict[str, Any]) -> list[str]:
    """What the first method shows about initially positive and negative cases, in words."""
    from covidlit.papers.csacnet.wording import verdict

    first, confidence = results["figure2_right"][0], results["settings"]["confidence"]
    readers = results["table3"]["statement"]
    found = (
        [first["statement"]]
        if first["statement"]
        else [
            "Initially positive minus initially negative cases. "
            + verdict(first["sensitivity_test"], "Sensitivity", confidence, percent=True),
            verdict(first["auc_test"], "AUC", confidence),
        ]
    )
    return found + ([readers] if readers else [])


def _measures(record: dict[str, Any]) -> list[str]:
    from covidlit.evaluation import Estimate, format_estimate

    return [
        "" if record[name] is None
        else format_estimate(Estimate.from_dict(record[name]), percent=name != "auc")
        for name in ("auc", "sensitivity", "specificity")
    ]  # fmt: skip
