"""`covidlit predict`: scores of new scans from a trained checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from covidlit.cli.predict_client import ask_server
from covidlit.cli.predict_scans import ScanModel, ScanRequest, score_scans
from covidlit.cli.predict_table import predict_table
from covidlit.errors import ConfigError
from covidlit.files import require_path

SCORES = Path("scores.csv")
"""Where scores are written unless it is said where."""


def predict(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="The folder of a run, whose judged model is taken; a model in its checkpoints/ "
            "(best.ckpt, last.ckpt, model.skops, cox.json); or a folder of `covidlit export`."
        ),
    ],
    path: Annotated[
        Path | None,
        typer.Argument(
            help="Folder with DICOM files, an image (.nii.gz, ...), or a manifest; for a model of "
            "tables a table (.csv, .xlsx, .parquet) of patients or of scans.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Where to write the scores (.csv or .parquet).")
    ] = SCORES,
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
    batch_size: Annotated[int, typer.Option(help="Scans per forward pass.", min=1)] = 1,
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
        typer.Option(help="CPU threads of network and heatmaps; by default one per core.", min=1),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            help="Scans read and prepared at a time, while others are scored; -1: one per core; at "
            "most 8 for each core."
        ),
    ] = 1,
    backend: Annotated[
        str, typer.Option(help="What reads and prepares them: loky (this machine) or dask.")
    ] = "loky",
    heatmaps: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a heatmap of each scan, as NIfTI and PNG, and heatmaps.csv. "
            "`covidlit explain` checks them."
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
    serve: Annotated[
        Path | None,
        typer.Option(
            help="Score nothing; keep the network loaded and answer on this socket, a file that is "
            "made, until stopped. Whoever may open it, the owner alone, has the server's rights."
        ),
    ] = None,
    server: Annotated[
        Path | None,
        typer.Option(
            help="Have the server on this socket score the scans (started with --serve), with the "
            "same outputs in a fraction of the time; engine, device and threads are the server's."
        ),
    ] = None,
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
    if serve is not None:
        _require_unset(
            "--serve",
            path=path,
            server=server,
            mapping=mapping,
            explain=explain,
            all_folds=all_folds,
            heatmaps=heatmaps,
            out=None if out == SCORES else out,
            override=override,
            image_orientation=image_orientation,
            batch_size=None if batch_size == 1 else batch_size,
            jobs=None if jobs == 1 else jobs,
            backend=None if backend == "loky" else backend,
            strict=strict,
            timings=show_timings,
        )
        _serve(checkpoint, serve, engine, device, threads)
        return
    if path is None:
        raise ConfigError(
            "it is missing.", where="PATH", fix="say what is to be scored: covidlit predict "
            f"{checkpoint} SCANS",
        )  # fmt: skip
    asked = ScanRequest(
        path=path,
        out=out,
        heatmaps=heatmaps,
        override=tuple(override or ()),
        image_orientation=image_orientation,
        batch_size=batch_size,
        jobs=jobs,
        backend=backend,
        strict=strict,
        timings=show_timings,
    )
    if server is not None:
        _require_unset(
            "--server", mapping=mapping, explain=explain, all_folds=all_folds, threads=threads,
            engine=None if engine == "auto" else engine,
            device=None if device == "auto" else device,
        )  # fmt: skip
        if code := ask_server(str(server), str(checkpoint), asked.fields()):
            raise typer.Exit(code)
        return
    from covidlit.checkpoints.of_run import model_of_run
    from covidlit.deploy.tables.kind import is_table_model

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
    from covidlit.terminal import plain_console

    require_path(path)  # before the network is loaded
    model = ScanModel(checkpoint, engine, device, threads, ahead=True)
    if code := score_scans(model, asked, plain_console(), progress=True):
        raise typer.Exit(code)


def _serve(checkpoint: Path, socket: Path, engine: str, device: str, threads: int | None) -> None:
    from covidlit.cli.predict_server import PredictServer
    from covidlit.deploy.tables.kind import is_table_model

    if is_table_model(checkpoint):
        raise ConfigError(
            "the model takes tables, which are scored at once.", where="--serve",
            fix="leave it out.",
        )  # fmt: skip
    running = PredictServer(ScanModel(checkpoint, engine, device, threads), socket)
    try:
        name = running.load()
        said = f"Serving {checkpoint} by {name} on {socket}; Ctrl-C or SIGTERM ends it."
        running.serve(ready=lambda: typer.echo(said))
    finally:
        running.close()


def _require_unset(option: str, **others: object) -> None:
    """Refuse options that do not go with one."""
    for name, value in others.items():
        if value:
            shown = name.upper() if name == "path" else f"--{name.replace('_', '-')}"
            then = option == "--server" and name in ("engine", "device", "threads")
            raise ConfigError(
                f"it does not go with {option}.",
                where=shown,
                fix=f"leave it out{', and give it when the server is started' if then else ''}.",
            )


def _require_of_tables(**options: object) -> None:
    """Refuse options that say nothing of a model of tables."""
    for name, value in options.items():
        if value:
            raise ConfigError(
                "the option is of CT scans, and the model takes tables.",
                where=f"--{name.replace('_', '-')}",
                fix="leave it out.",
            )
