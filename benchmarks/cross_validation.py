"""Ten folds as one run against ten runs of a fold each: the same scores, in how much of their time?

    python benchmarks/cross_validation.py

A synthetic cohort of 100 scans and a narrow CSAC-Net. The cohort is prepared before; each way is
then a command, or ten, as a user would give them. Side by side each fold has one thread: another
number of threads rounds otherwise, which a training amplifies. Writes
results/cross_validation.json.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from record import write_results

from covidlit.evaluation import read_predictions

ROOT = Path(__file__).parents[1]
FOLDS = 10
RUN = (
    "model=csacnet", "model.task.net.width=4", "data.source.n_scans=100", "data.source.matrix=48",
    "data.geometry.spacing=[14.0,12.0,12.0]", "data.geometry.size=[24,24,32]", "inclusion=none",
    "data.batch_size=10", "trainer.max_epochs=4", "heatmaps=false", "evaluation.n_bootstrap=500",
    "split=k_fold", f"split.n_folds={FOLDS}",
)  # fmt: skip
COMMAND = "python benchmarks/cross_validation.py"


def run(folder: Path, data: Path, *overrides: str) -> float:
    """Seconds of one command."""
    start = time.perf_counter()
    command = [sys.executable, "train.py", *RUN, f"data_dir={data}", f"hydra.run.dir={folder}"]
    done = subprocess.run(
        [*command, *overrides], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - start


def scores(*folders: Path) -> np.ndarray:
    """The scores of all test scans, by scan."""
    tables = [read_predictions(folder / "predictions.parquet") for folder in folders]
    tested = [table[table["part"] == "test"] for table in tables]
    pairs = sorted(
        (i, s) for table in tested for i, s in zip(table["scan_id"], table["score"], strict=True)
    )
    return np.array([score for _, score in pairs])


def main() -> None:
    """Measure and write the result."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data"
        run(folder / "first", data, "split.fold=0", "trainer.max_epochs=1")  # prepares the scans
        seconds = {"one": run(folder / "one", data, "split.fold=all")}
        seconds["two"] = run(folder / "two", data, "split.fold=all", "cross_validation.n_jobs=2")
        alone = [folder / f"alone_{fold}" for fold in range(FOLDS)]
        seconds["alone"] = sum(
            run(path, data, f"split.fold={fold}") for fold, path in enumerate(alone)
        )
        own = scores(*alone)
        off = {way: float(np.abs(scores(folder / way) - own).max()) for way in ("one", "two")}
    beside = "the same with two folds side by side"
    one, two = (seconds[way] / seconds["alone"] for way in ("one", "two"))
    rows = [
        ("wall time of one run of ten folds, of that of ten runs", one, "ratio", "<= 0.6"),
        (beside, two, "ratio", "<= 0.6"),
        ("wall time of ten runs of a fold each", seconds["alone"], "s", None),
        ("largest difference of a score, one run against ten", off["one"], "", "0"),
        (f"largest difference of a score, {beside}", off["two"], "", None),
    ]
    figures = [
        {"figure": figure, "value": value, "unit": unit, "target": target,
         "peer": "ten runs of covidlit", "command": COMMAND}
        for figure, value, unit, target in rows
    ]  # fmt: skip
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']:.3g} {figure['unit']}")
    print(write_results("cross_validation", figures))


if __name__ == "__main__":
    main()
