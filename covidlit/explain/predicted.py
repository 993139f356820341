"""Heatmaps of the scans that `covidlit predict` scores, made while it has them at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.errors import ConfigError
from covidlit.explain.write import HeatmapWriter

if TYPE_CHECKING:
    from covidlit.predict import OnScored
    from covidlit.preprocess import Prepared
    from covidlit.scan import Scan
    from covidlit.scan_sources import ScanSource


def heatmaps_of_scored(checkpoint: str | Path, out_dir: str | Path, **arguments: Any) -> OnScored:
    """What writes the heatmap of each scan after it was scored, whichever engine scored it.

    Args:
        checkpoint: of `covidlit train`; gradients need the network itself.
        out_dir: folder, made if needed; files are named by scan_id, or by number where a scan has
            none.
        **arguments: of `HeatmapWriter`.

    Raises:
        ConfigError: an exported network or a classical baseline.
        CovidlitError: see `HeatmapWriter`.
    """
    path = Path(checkpoint)
    if path.is_dir() or path.suffix == ".skops":
        raise ConfigError(
            "heatmaps need the network of a checkpoint, this is "
            + ("a folder." if path.is_dir() else "a classical baseline."),
            where="heatmaps",
            fix="give the checkpoint; with --engine its export is still what scores the scans.",
        )
    writer = HeatmapWriter(path, out_dir, **arguments)
    n_written = 0

    def write(source: ScanSource, scan: Scan, prepared: Prepared, score: Any) -> None:
        nonlocal n_written
        n_written += 1
        shown = score if isinstance(score, float) else None
        writer.write(scan, prepared, shown, name=source.scan_id or f"scan-{n_written:04d}")

    return write
