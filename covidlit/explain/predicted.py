"""Heatmaps of the scans that `covidlit predict` scores, made while it has them at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.checkpoints.of_run import model_of_run
from covidlit.deploy.exported import is_export
from covidlit.errors import ConfigError
from covidlit.explain.heat_files import COLUMNS, KNOWN_BY, TABLE, HeatFiles, WrittenHeatmap
from covidlit.explain.scale import require_scale, stored_scale
from covidlit.preprocess.cache import scan_name
from covidlit.tables.places import check_own_table

if TYPE_CHECKING:
    from covidlit.cohort.scan_sources import ScanSource
    from covidlit.deploy.predict import OnScored
    from covidlit.explain.heat_engine import HeatEngine
    from covidlit.preprocess import Prepared
    from covidlit.scans.scan import Scan

WriteHeat = Callable[..., WrittenHeatmap]
"""Writes the files of a scan: (scan, prepared, score, name=...)."""


@contextmanager
def heatmaps_of_scored(
    checkpoint: str | Path,
    out_dir: str | Path,
    *,
    threads: int | None = None,
    engine: HeatEngine | None = None,
    **arguments: Any,
) -> Iterator[OnScored]:
    """What writes the heatmap of each scan after it was scored, whichever engine scored it.

    When the block ends, `heatmaps.csv` beside them names the files of each scan, by the `scan_id`
    and the `path` that the table of scores has; only scans whose heatmap was made are in it.

    Args:
        checkpoint: of `covidlit train`, the folder of its run, or (with `engine`) of its export.
        out_dir: folder, made if needed; files are named by `scan_name`.
        threads: of PyTorch on the CPU; None leaves its own number.
        engine: of `load_heat_engine`, which scores the scans as well; None: PyTorch makes the heat,
            in a pass of its own.
        **arguments: of `HeatmapWriter`; of `HeatFiles` with `engine`.

    Raises:
        ConfigError: an exported network or a classical baseline, without `engine`.
        CovidlitError: see `HeatmapWriter`.
    """
    table = check_own_table(Path(out_dir) / TABLE, KNOWN_BY, "covidlit predict --heatmaps")
    if engine is None:
        write_heat = _by_torch(network_of(checkpoint), out_dir, threads, arguments)
    else:
        write_heat = _by_engine(engine, checkpoint, out_dir, arguments)
    rows: list[dict[str, Any]] = []

    def write(source: ScanSource, scan: Scan, prepared: Prepared, score: Any) -> None:
        shown = score if isinstance(score, float) else None
        done = write_heat(scan, prepared, shown, name=scan_name(source.scan_id, scan))
        rows.append({**done.row, "scan_id": source.scan_id, "path": source.path})

    table.unlink(missing_ok=True)  # of an earlier call, whose files may be replaced
    try:
        yield write
    finally:
        import pandas as pd

        from covidlit.tables.writing import write_table

        write_table(pd.DataFrame(rows, columns=list(COLUMNS)), table)


def _by_torch(
    checkpoint: Path, out_dir: str | Path, threads: int | None, arguments: dict[str, Any]
) -> WriteHeat:
    from covidlit.explain.write import HeatmapWriter
    from covidlit.tasks.threads import torch_threads

    writer = HeatmapWriter(checkpoint, out_dir, **arguments)

    def write(*args: Any, **kwargs: Any) -> WrittenHeatmap:
        with torch_threads(threads):
            return writer.write(*args, **kwargs)

    return write


def _by_engine(
    engine: HeatEngine, model: str | Path, out_dir: str | Path, arguments: dict[str, Any]
) -> WriteHeat:
    layer, method = engine.heat.layer, engine.heat.method
    scale = arguments.pop("scale", None) or stored_scale(engine.record, layer, method)
    if scale is None and not is_export(model):
        # It was found after the export: the checkpoint alone carries it.
        from covidlit.checkpoints.file import load_checkpoint, read_record

        checkpoint = network_of(model)
        record = read_record(load_checkpoint(checkpoint), checkpoint)
        scale = require_scale(record, layer, method, checkpoint)
    files = HeatFiles(
        engine.record,
        out_dir,
        layer=layer,
        method=method,
        scale=scale or require_scale(engine.record, layer, method, model),
        **arguments,
    )

    def write(scan: Scan, prepared: Prepared, score: float | None, *, name: str) -> WrittenHeatmap:
        heat = partial(engine.heatmap, prepared)
        return files.write_heat(scan, prepared, heat, score, name=name)

    return write


def network_of(model: str | Path) -> Path:
    """The checkpoint whose network heatmaps are made with.

    Args:
        model: a checkpoint, or the folder of a run.

    Raises:
        ConfigError: an exported network or a classical baseline.
        CheckpointError: a folder that holds no checkpoint.
    """
    path = Path(model)
    if path.is_dir() and not is_export(path):
        path = model_of_run(path)
    if path.is_dir() or path.suffix == ".skops":
        raise ConfigError(
            "heatmaps need the network of a checkpoint, this is "
            + ("an export." if path.is_dir() else "a classical baseline."),
            where="heatmaps",
            fix="give the checkpoint; or export it in float32, which writes its heatmaps as well."
            if path.is_dir()
            else "leave --heatmaps out; baselines have none.",
        )
    return path
