"""Heatmaps of the scans that `covidlit predict` scores, made while it has them at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.errors import ConfigError
from covidlit.explain.many import TABLE
from covidlit.explain.write import COLUMNS, HeatmapWriter
from covidlit.tables import check_table_path, write_table

if TYPE_CHECKING:
    from covidlit.cohort.scan_sources import ScanSource
    from covidlit.deploy.predict import OnScored
    from covidlit.preprocess import Prepared
    from covidlit.scans.scan import Scan


def heatmaps_of_scored(
    checkpoint: str | Path, out_dir: str | Path, *, threads: int | None = None, **arguments: Any
) -> OnScored:
    """What writes the heatmap of each scan after it was scored, whichever engine scored it.

    `heatmaps.csv` beside them names the files of each scan, by the `scan_id` and the `path` that
    the table of scores has; only scans whose heatmap was made are in it.

    Args:
        checkpoint: of `covidlit train`; gradients need the network itself.
        out_dir: folder, made if needed; files are named by scan_id, or by number where a scan has
            none: a file's own name may be a patient's.
        threads: of PyTorch on the CPU; None leaves its own number.
        **arguments: of `HeatmapWriter`.

    Raises:
        ConfigError: an exported network or a classical baseline.
        CovidlitError: see `HeatmapWriter`.
    """
    import pandas as pd

    from covidlit.deploy.torch_engine import torch_threads

    path = Path(checkpoint)
    if path.is_dir() or path.suffix == ".skops":
        raise ConfigError(
            "heatmaps need the network of a checkpoint, this is "
            + ("a folder." if path.is_dir() else "a classical baseline."),
            where="heatmaps",
            fix="give the checkpoint; with --engine its export is still what scores the scans."
            if path.is_dir()
            else "leave --heatmaps out; baselines have none.",
        )
    table = Path(out_dir) / TABLE
    check_table_path(table)
    writer = HeatmapWriter(path, out_dir, **arguments)
    rows: list[dict[str, Any]] = []
    columns = [COLUMNS[0], "path", *COLUMNS[1:]]
    n_scored = 0

    def write(source: ScanSource, scan: Scan, prepared: Prepared, score: Any) -> None:
        nonlocal n_scored
        n_scored += 1
        name = source.scan_id or f"scan-{n_scored:04d}"
        shown = score if isinstance(score, float) else None
        with torch_threads(threads):
            done = writer.write(scan, prepared, shown, name=name)
        rows.append({**done.row, "scan_id": source.scan_id, "path": source.path})
        write_table(pd.DataFrame(rows, columns=columns), table)

    return write
