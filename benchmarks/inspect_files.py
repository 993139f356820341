"""`covidlit inspect` of 10,000 DICOM files, against itself as it was before its later checks.

    python benchmarks/inspect_files.py

The earlier version is taken from the history of this repository and runs with the same libraries;
whole processes, in turn. Writes results/inspect_files.json.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from dicom_series import write_series
from record import write_results
from rich.progress import track

ROOT = Path(__file__).parents[1]
COMMAND = "python benchmarks/inspect_files.py"
BEFORE = "d01ca56"
"""The last version before values, anatomy and acquisitions were looked at."""
SERIES, SLICES, SIZE = 40, 250, 64
REPEATS = 5
ENTRY = {"now": "covidlit.cli.app", "before": "covidlit.cli"}


def seconds(way: str, code: Path, folder: Path) -> float:
    """Wall-clock seconds of `covidlit inspect` of a folder, by the code in another."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", f"from {ENTRY[way]} import app; app()", "inspect", str(folder)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(code)},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode or f" {SERIES} accepted" not in done.stdout:
        raise SystemExit(f"{code}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start


def take_before(target: Path) -> None:
    """Unpack the earlier version of the package."""
    packed = subprocess.run(
        ["git", "archive", BEFORE, "covidlit", "conf"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(target, filter="data")


def main() -> None:
    """Measure and write the result."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as name:
        before, scans = Path(name, "before"), Path(name, "scans")
        take_before(before)
        for seed in track(range(SERIES), "Writing series"):
            write_series(scans / f"series_{seed:02d}", SLICES, SIZE, seed=seed)
        ways = {"now": ROOT, "before": before}
        times: dict[str, list[float]] = {way: [] for way in ways}
        for repeat in track(range(REPEATS + 1), "Inspecting"):
            for way, code in ways.items():
                taken = seconds(way, code, scans)
                if repeat:
                    times[way].append(taken)
    now, then = (statistics.median(times[way]) for way in ways)
    files = f"`covidlit inspect` of {SERIES * SLICES:,} files"
    rows = [
        (f"{files}: time now / time of {BEFORE}", now / then, "ratio", "<= 1.3"),
        (f"{files}: now", now, "s", None),
        (f"{files}: {BEFORE}", then, "s", None),
    ]
    figures = [
        {"figure": figure, "value": round(value, 3), "unit": unit, "target": target,
         "peer": f"covidlit {BEFORE}", "command": COMMAND}
        for figure, value, unit, target in rows
    ]  # fmt: skip
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']}")
    print(write_results("inspect_files", figures))


if __name__ == "__main__":
    main()
