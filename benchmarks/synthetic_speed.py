"""How fast the synthetic cohort is made: whole scans with DICOM and truth, one process.

OMP_NUM_THREADS=1 python benchmarks/synthetic_speed.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from record import write_results

from covidlit.synthetic.grid import grid_of
from covidlit.synthetic.make import CohortPaths, make_scan
from covidlit.synthetic.presets import plan_cohort

COMMAND = "OMP_NUM_THREADS=1 python benchmarks/synthetic_speed.py"
SIZES = ((96, 5.0, 12), (128, 5.0, 12), (512, 5.0, 2))


def seconds_per_scan(matrix: int, thickness_mm: float, count: int) -> tuple[float, float]:
    """Median wall-clock and processor seconds of one scan, written with its truth."""
    cases = plan_cohort("mild", 40, 0)[: count + 1]
    wall, cpu = [], []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = CohortPaths(
            root, root / "dicom", root / "labels.csv", root / "truth", None, root / "cohort.json"
        )
        for case in cases:
            start, busy = time.perf_counter(), time.process_time()
            make_scan(paths, case, grid_of(case, matrix, thickness_mm))
            wall.append(time.perf_counter() - start)
            cpu.append(time.process_time() - busy)
    # The first scan pays for the imports.
    return statistics.median(wall[1:]), statistics.median(cpu[1:])


def main() -> None:
    """Measure all sizes and write `results/synthetic_speed.json`."""
    figures: list[dict[str, Any]] = []
    for matrix, thickness, count in SIZES:
        wall, cpu = seconds_per_scan(matrix, thickness, count)
        size = f"matrix {matrix}, {thickness:g} mm slices, DICOM and truth"
        target = ">= 2" if matrix <= 128 else None
        for name, seconds in (("wall clock", wall), ("processor time", cpu)):
            figures.append(
                {
                    "figure": f"synthetic scans per second and core ({name}): {size}",
                    "value": round(1 / seconds, 3),
                    "unit": "scans/s",
                    "target": target,
                    "peer": None,
                    "command": COMMAND,
                }
            )
            print(f"{figures[-1]['figure']}: {figures[-1]['value']}")
    print(write_results("synthetic_speed", figures))


if __name__ == "__main__":
    main()
