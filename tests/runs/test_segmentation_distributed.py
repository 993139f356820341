"""A segmentation in two processes: every slice is learnt from and measured once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
from segmentation_log import check_logged

from covidlit.cohort.splits import Split
from covidlit.evaluation.segmentation import read_segmentation_tables

ROOT = Path(__file__).parents[2]


def test_two_processes_measure_every_slice_once(slice_overrides: list[str], tmp_path: Path) -> None:
    command = [
        sys.executable, "train.py", "model=maskrcnn_small", *slice_overrides, "trainer=ddp",
        "trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.max_epochs=2",
        "data.batch_size=2", f"hydra.run.dir={tmp_path}",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    split = Split.load(tmp_path / "split.json")
    slices = read_segmentation_tables(tmp_path)["slices"]
    assert sorted(slices["slice_id"]) == sorted(split.scans("validation") + split.scans("test"))
    log = (tmp_path / "train.log").read_text()
    assert "Training on 2 x CPU" in log
    assert log.count("Report: ") == 1
    steps = pd.read_csv(tmp_path / "logs" / "metrics.csv")["step"].max() + 1
    assert steps == 2 * -(-len(split.scans("train")) // 4), "two slices of each process in a step"
    check_logged(tmp_path)
