"""`covidlit predict`: scores of new scans from a trained checkpoint."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from covidlit.cli.predict_table import predict_table
from covidlit.errors import ConfigError
from covidlit.version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.deploy import Timings
    from covidlit.deploy.run_facts import RunFacts


_OWN = ("scan_id", "path", "score", "predicted_class", "status", "trained_on_synthetic")
"""Columns that every table of this command has, and no manifest."""


def predict(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="The folder of a run, whose judged model is taken; a model in its checkpoints/ "
            "(best.ckpt, last.ckpt, model.skops, cox.json); or a folder of `covidlit export`."
        ),
    ],
    path: Annotated[
        Path,
        typer.Argument(
            help="Folder with DICOM files, an image (.nii.gz, ...), or a manifest; for a model of "
            "tables a table (.csv, .xlsx, .parquet) of patients or of scans."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Where to write the scores (.csv or .parquet).")
    ] = Path("scores.csv"),
    override: Annotated[
        list[str] | None,
        typer.Option(help="A check to switch off, by name; may be given several times."),
    ] = None,
    image_orientation: Annotated[
        str | None,
        typer.Option(
            help="What the axes of image files run to whose header does not say it: LPS, LAS, ..."
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Scans per forward pass.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    engine: Annotated[
        str,
        typer.Option(
            help="torch, onnxruntime or openvino (fastest on a CPU; needs `covidlit export` once). "
            "auto: torch for a checkpoint, OpenVINO for an exported folder."
        ),
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(help="CPU threads of network and heatmaps; by default one per core."),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(help="Scans read and prepared at a time, while others are scored; -1: cores."),
    ] = 1,
    backend: Annotated[
        str, typer.Option(help="What reads and prepares them: loky (this machine) or dask.")
    ] = "loky",
    heatmaps: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a heatmap of each scan, as NIfTI and PNG, and heatmaps.csv; "
            "CHECKPOINT must be one. `covidlit explain` checks them."
        ),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(
            help="Of a hospital's own table, for a model of data=clinical: a name in conf/clinical "
            "or the path of a .yaml file, as of `covidlit clinical`."
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Of a model of tables: what each value contributes to the score of its row, in "
            "OUT.contributions.csv.",
        ),
    ] = False,
    all_folds: Annotated[
        bool,
        typer.Option(
            "--all-folds",
            help="Of a cross-validation of a model of tables (CHECKPOINT is its folder): the mean "
            "of all folds' scores, with the range over the members of all.",
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with an error if a scan was refused.")
    ] = False,
    show_timings: Annotated[
        bool, typer.Option("--timings", help="Print how long each step took.")
    ] = False,
) -> None:
    """Score CT scans or rows of a table with a trained model; for research, not for clinical use.

    Scans are read and prepared exactly as in the run that wrote the checkpoint. Series and files
    that cannot be used are listed with the reason, and keep a row without a score in the table.
    Scores are written as they come; where the command was stopped, the same command goes on (with
    --heatmaps it starts again). Ends with 1 where no scan could be scored.

    A model of data=clinical takes a table with one row per patient and date (contract 9, as
    `covidlit clinical` writes it; or a hospital's own by --mapping), reduced as in its run, or one
    row per patient; a model of data=factors the factors of `covidlit quantify`. Columns are found
    by name. Each row gets a score with the range of the ensemble's members, what is missing and
    what lies outside the training range; units that cannot be right are refused.

    A model of times to an event (label_rule=endpoint) gives a risk score, a risk group and the risk
    until each of its run's horizons.
    """
    from covidlit.checkpoints.of_run import model_of_run
    from covidlit.deploy.tables.model import is_table_model

    if all_folds or is_table_model(checkpoint):
        _require_of_tables(
            heatmaps=heatmaps, override=override, image_orientation=image_orientation,
            engine=None if engine == "auto" else engine,
            device=None if device in ("auto", "cpu") else device,
        )  # fmt: skip
        predict_table(checkpoint, path, out, mapping, explain, strict, all_folds)
        return
    if mapping is not None or explain:
        if checkpoint.is_dir():
            model_of_run(checkpoint)  # of a cross-validation it says what to give
        raise ConfigError(
            "this is for models of tables, and the model takes scans.",
            where="--mapping" if mapping is not None else "--explain",
            fix="leave it out; --heatmaps explains scores of scans.",
        )
    from covidlit.deploy import Timings, load_engine
    from covidlit.tables import check_own_table, write_table

    check_own_table(out, _OWN, "covidlit predict", [path, checkpoint])
    timings = Timings()
    with timings.measure("start"):
        from covidlit.deploy.exported import network_hash
        from covidlit.deploy.predict import predict_with, require_all
        from covidlit.deploy.run_facts import facts_of_run
        from covidlit.deploy.score_journal import ScoreJournal
    with ExitStack() as stack:
        with timings.measure("load"):
            loaded = load_engine(checkpoint, engine, device=device, threads=threads)
            run = facts_of_run(checkpoint, loaded.record)
            on_scored = None
            if heatmaps is not None:
                from covidlit.deploy.torch_engine import find_device
                from covidlit.explain.predicted import heatmaps_of_scored

                on_scored = stack.enter_context(
                    heatmaps_of_scored(
                        checkpoint, heatmaps, device=find_device(device), threads=threads
                    )
                )
        settings = {
            "version": __version__,
            "network": network_hash(checkpoint),
            "engine": loaded.name,
            "record": loaded.record.model_dump(mode="json"),
            "override": sorted(override or ()),
            "image_orientation": image_orientation,
            "path": str(path.absolute()),
        }
        journal = ScoreJournal(out, settings, lambda table: write_table(table, out))
        stack.callback(journal.close)
        table = predict_with(
            loaded,
            path,
            batch_size=batch_size,
            n_jobs=jobs,
            backend=backend,
            override=override or (),
            image_orientation=image_orientation,
            progress=True,
            timings=timings,
            on_scored=on_scored,
            run=run,
            journal=journal,
        )
    if journal.n_known:
        typer.echo(f"{journal.n_known} of the scans were scored before the last call was stopped.")
    _print(table, out, loaded.name)
    _print_run(table, run)
    if heatmaps is not None:
        missing = int(table["notes"].str.contains("no heatmap: ").fillna(False).sum())
        failed = f"; {missing} could not be made, see notes" if missing else ""
        typer.echo(f"Heatmaps: {heatmaps}{failed}")
        if getattr(loaded, "precision", "") in ("bf16", "int8"):
            typer.echo(f"They are of the checkpoint itself; the scores are of {loaded.name}.")
    if show_timings:
        _print_timings(timings)
    if strict:
        require_all(table, path)
    if not table["status"].eq("ok").any():
        raise typer.Exit(1)


def _require_of_tables(**options: object) -> None:
    """Refuse options that say nothing of a model of tables."""
    for name, value in options.items():
        if value:
            raise ConfigError(
                "the option is of CT scans, and the model takes tables.",
                where=f"--{name.replace('_', '-')}",
                fix="leave it out.",
            )


def _print_timings(timings: Timings) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table("Step", title="Timings", caption_justify="left")
    for name in ("Seconds", "Share", "Per scan"):
        shown.add_column(name, justify="right")
    for step in timings.rows():
        shown.add_row(step.name, f"{step.seconds:.2f}", f"{step.share:.0%}", f"{step.per_scan:.2f}")
    shown.caption = f"{timings.total:.2f} s in all"
    if timings.overlapped:
        shown.caption += (
            f": {timings.overlapped:.2f} s less than the steps together, for scans were prepared "
            "while others were scored"
        )
    Console().print(shown)


def _print(table: pd.DataFrame, out: Path, engine: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from covidlit.deploy.override_notes import count_overridden
    from covidlit.deploy.score_text import score_texts

    # Score and class must stay whole on a narrow terminal; the other two share what is left.
    shown = Table(title="Scores")
    shown.add_column("Scan", overflow="fold")
    shown.add_column("Score", no_wrap=True)
    shown.add_column("Class", no_wrap=True)
    shown.add_column("Reason or note", overflow="fold")
    points = table["operating_point"].dropna()
    point = None if points.empty else float(points.iloc[0])
    texts = table.assign(score=score_texts(table["score"].tolist(), point))
    texts["remark"] = texts["reason"].fillna(texts["notes"])
    texts = texts.astype(object).where(texts.notna(), "")
    for row in texts.itertuples(index=False):
        # An image that no manifest names has no id: its path alone tells it apart.
        path = f"[dim]{escape(row.path)}[/]" if row.scan_id else escape(row.path)
        scan = "\n".join(filter(None, (escape(row.scan_id), path)))
        shown.add_row(scan, row.score, escape(row.predicted_class), escape(row.remark))
    console = Console()
    console.print(shown)
    console.print(_rule_of_classes(table), highlight=False)
    for overridden, n in count_overridden(table["notes"].dropna()).items():
        console.print(
            f"[yellow]{n} of {len(table)} scans would have been refused: {overridden}.[/]",
            highlight=False,
        )
    if table["trained_on_synthetic"].any():
        console.print(
            "This network was trained on synthetic images: its scores mean nothing for patients."
        )
    if synthetic := int(table["synthetic"].fillna(False).sum()):
        console.print(f"{synthetic} of {len(table)} scans are synthetic, as their manifest says.")
    refused = int((table["status"] == "refused").sum())
    console.print(
        f"{len(table) - refused} scans scored, {refused} refused, by {engine}. "
        f"Table: {escape(str(out))}"
    )


def _print_run(table: pd.DataFrame, run: RunFacts | None) -> None:
    """What the network's run says: who of these it has seen, its test, its warnings."""
    from rich.console import Console

    from covidlit.deploy.run_facts import SEEN

    console = Console(soft_wrap=True)
    for text in SEEN.values():
        if n := int(table["notes"].str.contains(text, regex=False).fillna(False).sum()):
            said = text.partition(": ")
            console.print(
                f"[yellow]{n} of {len(table)} scans {'was' if n == 1 else 'were'} {said[0]}.[/]",
                highlight=False,
            )
    if run is not None and run.sentence:
        console.print(run.sentence, markup=False, highlight=False)


def _rule_of_classes(table: pd.DataFrame) -> str:
    """How scores became classes, in a sentence."""
    from covidlit.deploy.score_text import point_text

    if any(name.startswith("score_") for name in table):
        return "Class: the most probable one."
    points = table["operating_point"].dropna()
    if points.empty:
        return "The checkpoint has no operating point: scores are not called positive or negative."
    point = point_text(points.iloc[0], table["score"])
    return (
        f"Class: positive from a score of {point} on, the operating point of the run that trained "
        "the network."
    )
