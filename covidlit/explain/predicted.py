"""Heatmaps of the scans that `covidlit predict` scores, made while it has them at hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from covidlit.checkpoints.of_run import model_of_run
from covidlit.deploy.exported import is_export
from covidlit.errors import ConfigError
from covidlit.explain.many import KNOWN_BY, TABLE
from covidlit.explain.write import COLUMNS, HeatmapWriter
from covidlit.preprocess.conversion import scan_name
from covidlit.tables import check_own_table, write_table
from covidlit.tasks.threads import torch_threads

if TYPE_CHECKING:
    from covidlit.cohort.scan_sources import ScanSource
    from covidlit.deploy.predict import OnScored
    from covidlit.preprocess import Prepared
    from covidlit.scans.scan import Scan


@contextmanager
def heatmaps_of_scored(
    checkpoint: str | Path, out_dir: str | Path, *, threads: int | None = None, **arguments: Any
) -> Iterator[OnScored]:
    """What writes the heatmap of each scan after it was scored, whichever engine scored it.

    When the block ends, `heatmaps.csv` beside them names the files of each scan, by the `scan_id`
    and the `path` that the table of scores has; only scans whose heatmap was made are in it.

    Args:
        checkpoint: of `covidlit train`, or the folder of its run; gradients need the network
            itself.
        out_dir: folder, made if needed; files are named by `scan_name`.
        threads: of PyTorch on the CPU; None leaves its own number.
        **arguments: of `HeatmapWriter`.

    Raises:
        ConfigError: an exported network or a classical baseline.
        CovidlitError: see `HeatmapWriter`.
    """
    path = network_of(checkpoint)
    table = check_own_table(Path(out_dir) / TABLE, KNOWN_BY, "covidlit predict --heatmaps")
    writer = HeatmapWriter(path, out_dir, **arguments)
    rows: list[dict[str, Any]] = []

    def write(source: ScanSource, scan: Scan, prepared: Prepared, score: Any) -> None:
        shown = score if isinstance(score, float) else None
        with torch_threads(threads):
            done = writer.write(scan, prepared, shown, name=scan_name(source.scan_id, scan))
        rows.append({**done.row, "scan_id": source.scan_id, "path": source.path})

    table.unlink(missing_ok=True)  # of an earlier call, whose files may be replaced
    try:
        yield write
    finally:
        write_table(pd.DataFrame(rows, columns=list(COLUMNS)), table)


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
            fix="give the checkpoint; with --engine its export is still what scores the scans."
            if path.is_dir()
            else "leave --heatmaps out; baselines have none.",
        )
    return path
