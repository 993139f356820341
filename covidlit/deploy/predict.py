"""Scores of new scans from a trained network: read, prepared and windowed as in its training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from covidlit.arguments import require_whole_number
from covidlit.checkpoints.record import RunRecord
from covidlit.cohort.class_names import class_of_interest
from covidlit.cohort.scan_sources import ScanSource, find_scans
from covidlit.deploy import Engine, Timings, load_engine
from covidlit.deploy.meanwhile import import_meanwhile
from covidlit.deploy.override_notes import format_notes
from covidlit.deploy.preparation import PreparedSource, check_preparing, prepare_ahead
from covidlit.deploy.run_facts import RunFacts, facts_of_run
from covidlit.deploy.score_journal import ScoreJournal
from covidlit.dicom import Checks
from covidlit.errors import ConfigError, CovidlitError, fault_reason
from covidlit.preprocess.geometry import Geometry, Prepared
from covidlit.progress import progress_bar
from covidlit.scans.scan import Scan

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "scan_id", "path", "series_uid", "score", "predicted_class", "operating_point", "status",
    "reason", "notes", "lungs_in_view_percent", "synthetic", "trained_on_synthetic",
)  # fmt: skip

NO_POINT = (
    "called neither positive nor negative: the checkpoint has no operating point "
    "(covidlit.Predictor takes one, operating_point=0.5)"
)
"""Noted of a score that nothing tells the meaning of."""

MOST_IN_BATCH = 1024
"""Scans that go through a network together, at most."""

OnScored = Callable[[ScanSource, Scan, Prepared, Any], None]
"""Called with every scan that got a score: where it came from, the source volume, the prepared one,
and the score or the list of one score per class."""


def predict(
    checkpoint: str | Path,
    path: str | Path,
    *,
    engine: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    strict: bool = False,
    batch_size: int = 1,
    n_jobs: int = 1,
    backend: str = "loky",
    override: Iterable[str] = (),
    image_orientation: str | None = None,
    progress: bool = False,
    on_scored: OnScored | None = None,
    timings: Timings | None = None,
) -> pd.DataFrame:
    """Score every scan at a path with a trained network.

    Geometry, HU window, overridden checks and (with torch) precision are those of the run that
    wrote the checkpoint, so a scan of its test part gets the score that it got there.

    Args:
        checkpoint: of `covidlit train`, or a folder of `covidlit export`.
        path: a folder with DICOM series (or images), one image or DICOM file, or a manifest.
        engine, device, threads: see `covidlit.deploy.load_engine`.
        strict, batch_size, n_jobs, backend, override, image_orientation, progress, on_scored,
            timings: see `predict_with`.

    Returns:
        The table of `predict_with`.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, untrusted or of another model.
        ExportError: the export is missing, damaged or of another state of the checkpoint.
        CovidlitError: no such path, no scan there, or (strict) a scan was refused.
        ConfigError: an argument out of its range.
    """
    timings = Timings() if timings is None else timings
    _check_batch_size(batch_size)
    with timings.measure("load"):
        loaded = load_engine(checkpoint, engine, device=device, threads=threads)
    return predict_with(
        loaded,
        path,
        strict=strict,
        batch_size=batch_size,
        n_jobs=n_jobs,
        backend=backend,
        override=override,
        image_orientation=image_orientation,
        progress=progress,
        on_scored=on_scored,
        timings=timings,
        run=facts_of_run(checkpoint, loaded.record),
    )


def predict_with(
    engine: Engine,
    path: str | Path,
    *,
    strict: bool = False,
    batch_size: int = 1,
    n_jobs: int = 1,
    backend: str = "loky",
    override: Iterable[str] = (),
    image_orientation: str | None = None,
    progress: bool = False,
    on_scored: OnScored | None = None,
    timings: Timings | None = None,
    run: RunFacts | None = None,
    journal: ScoreJournal | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> pd.DataFrame:
    """Score every scan at a path; while one is scored, the next ones are read and prepared.

    Memory: `n_jobs` source scans and `n_jobs + 2 * batch_size` prepared ones; with `on_scored` as
    many source scans as prepared ones.

    Args:
        engine: of `covidlit.deploy.load_engine`.
        path: a folder with DICOM series (or images), one image or DICOM file, or a manifest.
        strict: raise after the last scan if any was refused.
        batch_size: scans that go through the network together.
        n_jobs: scans read and prepared at a time; see `covidlit.deploy.preparation`.
        backend: what reads and prepares them: "loky" or "dask".
        override: names of further checks to switch off.
        image_orientation: what the axes of image files run to whose header does not say it, such as
            "LPS"; None: as in the run that trained the network.
        progress: show a progress bar.
        on_scored: called in order with every scan that got a score; where it fails, `notes` says
            why there is no heatmap, and the scan keeps its score.
        timings: where to note how long each step took.
        run: of the network, of `covidlit.deploy.run_facts.facts_of_run`; `notes` then says of a
            scan that it was trained or selected on it.
        journal: where to note each row as soon as it is known, and what an earlier call that was
            stopped has done; it writes the table as well.
        on_progress: called before the first scan and after each with how many are done and how
            many there are.

    Returns:
        One row per series or file: `scan_id` (empty for an image that no manifest names), `path`,
        `series_uid` (a pseudonym), `score` (of the positive class), `score_<class>` where the run
        has more than two classes, `predicted_class` ("positive" from the checkpoint's operating
        point on, else "negative", or the two classes that its label rule names; null where it has
        none; with more classes the most probable one), `operating_point` (null where the checkpoint
        has none, or more classes), `status` ("ok" or "refused"), `reason`, `notes` (what was done
        to the scan on the way in, such as a check that was overridden and would have refused it, or
        why its heatmap is missing), `lungs_in_view_percent` (null where not known), `synthetic`
        (what a manifest says of the scan; null where
        nothing does), `trained_on_synthetic` (of the network: its scores then mean nothing for
        patients).

    Raises:
        CovidlitError: no such path, no scan there, or (strict) a scan was refused.
        ConfigError: an argument out of its range.
    """
    _check_batch_size(batch_size)
    check_preparing(n_jobs, backend)
    timings = Timings() if timings is None else timings
    record = engine.record
    wanted = record.volume_input
    checks = Checks(
        wanted.min_slices,
        frozenset(wanted.override_checks) | frozenset(override),
        image_orientation or wanted.image_orientation,
    )
    with timings.measure("find"):
        # The workers of a cluster may have another working directory.
        sources = find_scans(Path(path).absolute() if backend == "dask" else path, checks)
        sources = sources if run is None else run.noted(sources)
    rows: dict[int, dict[str, Any]] = {}
    if journal is not None:
        # A heatmap is made of the scan itself, so that such a scan is done again.
        known = [None if on_scored else journal.known(source) for source in sources]
        rows = {place: row for place, row in enumerate(known) if row is not None}
        journal.start(sources)
    waiting, n_done = [place for place in range(len(sources)) if place not in rows], count()
    outcomes = prepare_ahead(
        [sources[place] for place in waiting],
        Geometry(wanted.geometry.spacing, wanted.geometry.size),
        n_jobs=n_jobs,
        backend=backend,
        ahead=batch_size,
        keep_scan=on_scored is not None,
    )

    def tell() -> None:
        if on_progress is not None:
            on_progress(next(n_done), len(waiting))

    def done(place: int) -> None:
        bar.advance()
        tell()
        if journal is not None:
            journal.add(sources[place], rows[place])
            journal.show(lambda: _table(_in_order(rows), record))

    with closing(outcomes), progress_bar("Scoring scans", len(waiting), show=progress) as bar:
        tell()
        usable = _usable(zip(waiting, outcomes, strict=True), record, rows, timings, done)
        while batch := list(islice(usable, batch_size)):
            import_meanwhile("pandas")  # for the table: the network does without Python's lock
            with timings.measure("network"):
                scores = engine.scores(np.stack([prepared.array for *_, prepared in batch]))
            for (place, source, scan, prepared), score in zip(batch, scores, strict=True):
                row, found = rows[place], _columns_of(score, record)
                noted = [row["notes"], found.pop("notes", None)]
                row |= found | {"notes": "; ".join(filter(None, noted)) or None}
                if on_scored is not None and row["status"] == "ok":
                    assert scan is not None  # kept for this
                    with timings.measure("heatmap"):
                        reason = _failure(on_scored, source, scan, prepared, score)
                    if reason is not None:
                        row["notes"] = "; ".join(filter(None, (row["notes"], reason)))
                timings.n_scans += row["status"] == "ok"
                done(place)
    table = _table(_in_order(rows), record)
    if journal is not None:
        with timings.measure("write"):
            journal.finish(table)
    timings.stop()
    if strict:
        require_all(table, path)
    return table


def _failure(on_scored: OnScored, *scored: Any) -> str | None:
    """Call it; why there is no heatmap, which must not cost the scores."""
    try:
        on_scored(*scored)
    except CovidlitError as error:
        reason = error.what
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
    except Exception as error:
        reason = fault_reason(error, "making it")
    else:
        return None
    return f"no heatmap: {reason}"


def _table(rows: list[dict[str, Any]], record: RunRecord) -> pd.DataFrame:
    import pandas as pd

    classes = [f"score_{name}" for name in record.classes] if len(record.classes) > 2 else []
    table = pd.DataFrame(rows, columns=[*COLUMNS[:4], *classes, *COLUMNS[4:]])
    for name in ("scan_id", "path", "series_uid", "predicted_class", "status", "reason", "notes"):
        table[name] = table[name].astype("string")
    for name in ("score", "lungs_in_view_percent", *classes):
        table[name] = table[name].astype("float64")
    point = None if classes else record.operating_point
    table["operating_point"] = pd.Series(point, index=table.index, dtype="float64")
    table["synthetic"] = table["synthetic"].astype("boolean")
    table["trained_on_synthetic"] = record.synthetic
    return table


def require_all(table: pd.DataFrame, where: object) -> None:
    """Raise a CovidlitError that names the refused scans of a table of scores, if there are any."""
    refused = table[table["status"] == "refused"]
    if refused.empty:
        return
    named = [f"{row.path} ({row.reason})" for row in refused.head(5).itertuples()]
    more = f" and {len(refused) - 5} more" if len(refused) > 5 else ""
    raise CovidlitError(
        f"{len(refused)} of {len(table)} scans or files were refused: {'; '.join(named)}{more}.",
        where=where,
        fix="mend or remove them, override the check, or leave strict off.",
    )


def _in_order(rows: Mapping[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """The finished rows, in the order of the sources."""
    return [rows[place] for place in sorted(rows) if "status" in rows[place]]


def _usable(
    outcomes: Iterable[tuple[int, tuple[ScanSource, PreparedSource]]],
    record: RunRecord,
    rows: dict[int, dict[str, Any]],
    timings: Timings,
    done: Callable[[int], None],
) -> Iterator[tuple[int, ScanSource, Scan | None, Prepared]]:
    """Add a row for every scan; yield those that go to the network, with their places."""
    for place, (source, outcome) in outcomes:
        timings.add(outcome.seconds)
        row: dict[str, Any] = {
            name: getattr(source, name) for name in ("scan_id", "path", "series_uid", "synthetic")
        }
        row["lungs_in_view_percent"] = outcome.lungs_in_view_percent
        row["notes"] = format_notes(outcome.notes, record.volume_input.override_checks)
        rows[place] = row
        if outcome.prepared is None:
            row |= {"status": "refused", "reason": outcome.reason}
            done(place)
        else:
            yield place, source, outcome.scan, outcome.prepared


def _columns_of(score: Any, record: RunRecord) -> dict[str, Any]:
    """The columns that a scan's score, or the list of one per class, fills in."""
    if not np.isfinite(score).all():
        return {"status": "refused", "reason": "the network gave no finite score"}
    if isinstance(score, float):
        point = record.operating_point
        if point is None:
            return {"status": "ok", "score": score, "notes": NO_POINT}
        named = record.classes if len(record.classes) == 2 else ("negative", "positive")
        negative, positive = named
        return {
            "status": "ok",
            "score": score,
            "predicted_class": positive if score >= point else negative,
        }
    classes = record.classes or [str(index) for index in range(len(score))]
    columns: dict[str, Any] = {
        f"score_{name}": value for name, value in zip(classes, score, strict=True)
    }
    columns["score"] = columns[f"score_{class_of_interest(classes)}"]
    columns["status"] = "ok"
    columns["predicted_class"] = classes[max(range(len(score)), key=score.__getitem__)]
    return columns


def _check_batch_size(batch_size: int) -> None:
    require_whole_number(batch_size, "batch_size", at_least=1)
    if batch_size > MOST_IN_BATCH:
        raise ConfigError(
            f"must be at most {MOST_IN_BATCH}, not {batch_size}: as many prepared scans are held "
            "in memory at once.",
            where="batch_size",
            fix="give a smaller one.",
        )
