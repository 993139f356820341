"""How long a score of one patient takes: the whole command, beside one that imports Lightning.

python benchmarks/table_prediction.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from record import write_results

COMMAND = "python benchmarks/table_prediction.py"
ROOT = Path(__file__).parents[1]
REPEATS = 7
TARGET = "< 1.5"
_AFTER_LIGHTNING = (
    "import runpy, pytorch_lightning; runpy.run_module('covidlit', run_name='__main__')"
)


def seconds(command: list[str]) -> float:
    """Wall-clock seconds of one process, from its start to its end."""
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


def trained(folder: Path) -> tuple[Path, Path]:
    """A run of the fusion network on a synthetic cohort, and a table with one of its patients."""
    subprocess.run(
        [
            sys.executable, "train.py", "model=fusion_ann", "data=clinical",
            "data.source.n_scans=150", "trainer.max_epochs=20", "evaluation.n_bootstrap=100",
            f"data_dir={folder}", f"hydra.run.dir={folder / 'run'}", "importance=0",
        ],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (table,) = folder.rglob("clinical.csv")
    one = folder / "one.csv"
    pd.read_csv(table, dtype=str, keep_default_na=False).head(1).to_csv(one, index=False)
    return folder / "run", one


def main() -> None:
    """Time the processes in turn and write `results/table_prediction.json`."""
    with TemporaryDirectory() as name:
        run, one = trained(Path(name))
        arguments = ["predict", str(run), str(one), "--out", str(Path(name) / "scores.csv")]
        commands = {
            "own": [sys.executable, "-m", "covidlit", *arguments],
            "lightning": [sys.executable, "-c", _AFTER_LIGHTNING, *arguments],
        }
        for command in commands.values():
            seconds(command)  # the first fills the disk's cache
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(REPEATS):
            for name, command in commands.items():
                times[name].append(seconds(command))
    middle = {name: statistics.median(values) for name, values in times.items()}
    figures: list[dict[str, Any]] = [
        {
            "figure": "covidlit predict of one row of a clinical table, start included",
            "value": round(middle["own"], 3), "unit": "s, median", "target": TARGET,
            "peer": None, "command": COMMAND,
        },
        {
            "figure": "covidlit predict of one row: speed",
            "value": round(middle["lightning"] / middle["own"], 2),
            "unit": "ratio of median times", "target": "> 1",
            "peer": "the same after import pytorch_lightning", "command": COMMAND,
        },
    ]  # fmt: skip
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']} ({figure['target']})")
    print(f"Written: {write_results('table_prediction', figures)}")


if __name__ == "__main__":
    main()
