"""Score the scans of one request with a network that is loaded once, for one call or for many."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.cli.predict_text import print_run, print_scores, print_timings
from covidlit.errors import CovidlitError
from covidlit.version import __version__

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from covidlit.deploy import Engine
    from covidlit.explain.heat_engine import HeatEngine

OWN = ("scan_id", "path", "score", "predicted_class", "status", "trained_on_synthetic")
"""Columns that every table of this command has, and no manifest."""


@dataclass(frozen=True)
class ScanRequest:
    """What is to be scored and where to; the options of `covidlit predict` that say so.

    Args:
        path: of the scans.
        out: of the table of scores.
        heatmaps: folder of the heatmaps; None: none are made.
        override, image_orientation, batch_size, jobs, backend, strict, timings: see the command.
    """

    path: Path
    out: Path
    heatmaps: Path | None = None
    override: tuple[str, ...] = ()
    image_orientation: str | None = None
    batch_size: int = 1
    jobs: int = 1
    backend: str = "loky"
    strict: bool = False
    timings: bool = False

    def fields(self) -> dict[str, Any]:
        """Its fields by name, paths as texts, as they are sent to a server."""
        given = asdict(self)
        return {k: str(v) if isinstance(v, Path) else v for k, v in given.items()}


class ScanModel:
    """A network for scans; what scores is loaded when it is first asked for, and kept.

    Args:
        path: a checkpoint, the folder of a run, or of an export.
        engine, device, threads: see `covidlit.deploy.load.load_engine`.
        ahead: let a thread open an exported network while its user goes on.
    """

    def __init__(
        self, path: Path, engine: str, device: str, threads: int | None, *, ahead: bool = False
    ) -> None:
        self.path, self._engine, self._device, self._threads = path, engine, device, threads
        self._ahead = ahead
        self._plain: Engine | None = None
        self._with_heat: HeatEngine | None = None
        self._files = _signatures(path)

    def engines(self, heat: bool) -> tuple[Engine, HeatEngine | None]:
        """What scores scans and, with `heat`, what gives their heat in the same pass.

        The second is None where PyTorch makes the heat in a pass of its own.

        Raises:
            CovidlitError: see `load_engine`.
        """
        from covidlit.deploy import load_engine

        if heat and self._with_heat is None:
            from covidlit.explain.heat_engine import load_heat_engine

            self._with_heat = load_heat_engine(
                self.path, self._engine, device=self._device, threads=self._threads,
                ahead=self._ahead,
            )  # fmt: skip
        if heat and self._with_heat is not None:
            return self._with_heat, self._with_heat
        if self._plain is None:
            self._plain = load_engine(
                self.path, self._engine, device=self._device, threads=self._threads,
                ahead=self._ahead,
            )  # fmt: skip
        return self._plain, None

    def reload_if_changed(self) -> None:
        """Forget what is loaded where a file of the model has changed since."""
        if (now := _signatures(self.path)) != self._files:
            self._plain, self._with_heat, self._files = None, None, now

    def heat_arguments(self) -> dict[str, Any]:
        """Of `heatmaps_of_scored`, where PyTorch makes the heat: the network, if it is loaded."""
        from covidlit.deploy.torch_engine import TorchEngine, find_device

        loaded = {"task": self._plain.task} if isinstance(self._plain, TorchEngine) else {}
        return {"device": find_device(self._device), "threads": self._threads, **loaded}


def _write(out: Path, table: pd.DataFrame) -> None:
    from covidlit.tables import write_table

    write_table(table, out)


def load_parts() -> None:
    """Import what scoring takes, so that the first request of many does not wait for it."""
    for name in ("pandas", "covidlit.tables.writing", "covidlit.deploy.predict"):
        import_module(name)


def _signatures(model: Path) -> dict[str, tuple[int, ...]]:
    """What tells that a file of a model has changed: of the model, and of its export."""
    from covidlit.checkpoints.of_run import model_of_run
    from covidlit.deploy.exported import default_folder, is_export
    from covidlit.deploy.kept import signature

    with suppress(CovidlitError):  # said when it is loaded
        if model.is_dir() and not is_export(model):
            model = model_of_run(model)
    folder = model if model.is_dir() else default_folder(model)
    found: dict[str, tuple[int, ...]] = {}
    for path in (model, *sorted(folder.glob("*"))):
        with suppress(OSError):
            found[str(path)] = signature(path)
    return found


def score_scans(
    model: ScanModel,
    asked: ScanRequest,
    console: Console,
    progress: bool,
    on_progress: Callable[[int, int], object] | None = None,
) -> int:
    """Score scans, write what was asked for, and print about it.

    Args:
        model: scores them.
        asked: which scans, and where to write.
        console: where to print.
        progress: show a progress bar on standard error.
        on_progress: see `covidlit.deploy.predict.predict_with`.

    Returns:
        1 where no scan could be scored, else 0.

    Raises:
        CovidlitError: what was asked for is not there or does not fit; or (strict) a scan was
            refused.
    """
    from covidlit.deploy import Timings
    from covidlit.tables.places import check_own_table

    timings = Timings()
    check_own_table(asked.out, OWN, "covidlit predict", [asked.path, model.path])
    with ExitStack() as stack:
        with timings.measure("load"):
            # Before all that is imported below: meanwhile a thread opens an exported network.
            engine, with_heat = model.engines(asked.heatmaps is not None)
        with timings.measure("start"):
            from covidlit.deploy.exported import network_hash
            from covidlit.deploy.predict import predict_with, require_all
            from covidlit.deploy.run_facts import facts_of_run
            from covidlit.deploy.score_journal import ScoreJournal

        with timings.measure("load"):
            run = facts_of_run(model.path, engine.record)
            on_scored = None
            if asked.heatmaps is not None:
                from covidlit.explain.predicted import heatmaps_of_scored

                made_by = model.heat_arguments() if with_heat is None else {"engine": with_heat}
                on_scored = stack.enter_context(
                    heatmaps_of_scored(model.path, asked.heatmaps, **made_by)
                )
        settings = {
            "version": __version__,
            "network": network_hash(model.path),
            "engine": engine.name,
            "record": engine.record.model_dump(mode="json"),
            "override": sorted(asked.override),
            "image_orientation": asked.image_orientation,
            "path": str(asked.path.absolute()),
        }
        journal = ScoreJournal(asked.out, settings, partial(_write, asked.out))
        stack.callback(journal.close)
        table = predict_with(
            engine,
            asked.path,
            batch_size=asked.batch_size,
            n_jobs=asked.jobs,
            backend=asked.backend,
            override=asked.override,
            image_orientation=asked.image_orientation,
            progress=progress,
            timings=timings,
            on_scored=on_scored,
            run=run,
            journal=journal,
            on_progress=on_progress,
        )
    if journal.n_known and asked.heatmaps is None:  # with heatmaps it starts again
        console.print(
            f"{journal.n_known} of the scans were scored before the last call was stopped.",
            soft_wrap=True,
        )
    print_scores(table, asked.out, engine.name, console)
    print_run(table, run, console)
    if asked.heatmaps is not None:
        missing = int(table["notes"].str.contains("no heatmap: ").fillna(False).sum())
        scored = int(table["status"].eq("ok").sum())
        failed = f"; {missing} could not be made, see notes" if missing else ""
        made = f"Heatmaps: {asked.heatmaps}{failed}" if scored else "No heatmaps were made."
        console.print(made, soft_wrap=True)
        if scored and getattr(engine, "precision", "") in ("bf16", "int8"):
            console.print(
                f"They are of the checkpoint itself; the scores are of {engine.name}.",
                soft_wrap=True,
            )
    if asked.timings:
        print_timings(timings, console)
    if asked.strict:
        require_all(table, asked.path)
    return 0 if table["status"].eq("ok").any() else 1
