"""What the book-keeping of heatmaps costs in a cohort of 10,000 scans, against one of 1,000.

OMP_NUM_THREADS=1 python benchmarks/heatmap_bookkeeping.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from record import write_results

from covidlit.cohort.scan_sources import ScanSource
from covidlit.explain.many import explain_scans
from covidlit.explain.write import HeatmapWriter

COMMAND = "OMP_NUM_THREADS=1 python benchmarks/heatmap_bookkeeping.py"
FEW, MANY = 1_000, 10_000


class NoHeat(HeatmapWriter):
    """A writer that makes no heatmap, so that nothing but the book-keeping is left."""

    def __init__(self, out_dir: Path) -> None:
        self.out_dir = out_dir

    def settings(self) -> dict[str, Any]:
        """Those of any network."""
        return {"weights": "0" * 64, "layer": "module3", "method": "guided", "scale": 1.0}

    def write(self, *args: Any, name: str, **more: Any) -> Any:
        """Empty files and a row."""
        for ending in ("heat.nii.gz", "png"):
            (self.out_dir / f"{name}.{ending}").touch()
        return SimpleNamespace(row={"scan_id": name, "score": 0.5, "status": "ok"}, heatmap=None)


def seconds_of(n: int) -> tuple[float, float]:
    """Seconds of processor time of a first call with n scans, and of one that resumes them all."""
    with tempfile.TemporaryDirectory() as name:
        scans, out = Path(name, "scans"), Path(name, "out")
        scans.mkdir()
        out.mkdir()
        sources = []
        for k in range(n):
            (scans / f"{k}.nii").touch()
            read: Any = lambda: None  # noqa: E731 (a scan that the writer does not look at)
            sources.append(
                ScanSource(f"s{k:05d}", f"{k}.nii", read=read, location=scans / f"{k}.nii")
            )
        found = []
        for _ in range(2):
            start = time.process_time()
            explain_scans(NoHeat(out), sources)
            found.append(time.process_time() - start)
    return found[0], found[1]


def main() -> None:
    """Measure both cohorts and write `results/heatmap_bookkeeping.json`."""
    seconds_of(10)  # pays for the imports
    few, many = seconds_of(FEW), seconds_of(MANY)
    figures: list[dict[str, Any]] = []
    for call, one, ten in zip(("first call", "resumed call"), few, many, strict=True):
        values = (
            (f"book-keeping of heatmaps, {call}: {MANY} scans over {FEW}", ten / one, "", "<= 15"),
            (f"book-keeping of heatmaps, {call}: per scan of {MANY}", 1e3 * ten / MANY, "ms", None),
        )
        figures += [
            {
                "figure": figure, "value": round(value, 3), "unit": unit, "target": target,
                "peer": None, "command": COMMAND,
            }
            for figure, value, unit, target in values
        ]  # fmt: skip
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']}")
    print(write_results("heatmap_bookkeeping", figures))


if __name__ == "__main__":
    main()
