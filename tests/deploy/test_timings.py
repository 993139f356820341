"""The steps of a prediction and their times add up."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort.scan_sources import ScanSource
from covidlit.deploy import Timings
from covidlit.deploy.exported import default_folder
from covidlit.deploy.predict import predict
from covidlit.preprocess import Prepared
from covidlit.scans.scan import Scan


def test_steps_other_and_overlap_add_up_to_the_total(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("covidlit.deploy.timings.time.perf_counter", lambda: now)
    timings = Timings()
    with timings.measure("network"):
        now += 2
    now += 3
    timings.stop()
    assert timings.seconds["network"] == 2
    assert timings.other == 3
    assert timings.overlapped == 0
    assert sum(step.seconds for step in timings.rows()) == pytest.approx(timings.total)
    timings.add({"read": 10.0, "prepare": 5.0})
    assert timings.other == 0
    spent = sum(timings.seconds.values())
    assert spent - timings.overlapped == pytest.approx(timings.total)
    assert sum(step.share for step in timings.rows()) == pytest.approx(1)
    assert [step.name for step in timings.rows()] == ["read and check", "prepare", "network"]


def test_a_prediction_says_what_each_step_took(checkpoint: Path, scans: Path) -> None:
    start = time.perf_counter()
    timings, called = Timings(), []

    def on_scored(source: ScanSource, scan: Scan, prepared: Prepared, score: Any) -> None:
        called.append((source.scan_id, score, prepared.array.shape, scan.hu.ndim))
        time.sleep(0.01)

    table = predict(checkpoint, scans, on_scored=on_scored, timings=timings)
    elapsed = time.perf_counter() - start
    assert timings.n_scans == len(table) == 5
    assert 0.05 <= timings.total <= elapsed
    for step in ("load", "find", "read", "prepare", "network", "heatmap"):
        assert timings.seconds[step] > 0, step
    assert 0.05 <= timings.seconds["heatmap"] <= elapsed
    sums = sum(timings.seconds.values()) + timings.other - timings.overlapped
    assert sums == pytest.approx(timings.total)
    # In the order of the table, with the scores that stand there.
    assert [one[0] for one in called] == table["scan_id"].tolist()
    np.testing.assert_array_equal([one[1] for one in called], table["score"])
    assert {one[2:] for one in called} == {((16, 16, 16), 3)}


def test_an_exported_network_is_run_without_importing_torch(
    checkpoint: Path, scans: Path, tmp_path: Path
) -> None:
    """Its import takes longer than all else that scoring a scan needs."""
    folder = default_folder(checkpoint)
    arguments = ["predict", str(folder), str(scans), "--out", str(tmp_path / "scores.csv")]
    code = (
        "import sys; from covidlit.cli.app import app; app(standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "scores.csv").is_file()


def test_the_command_prints_engine_threads_and_timings(
    checkpoint: Path, scans: Path, tmp_path: Path
) -> None:
    out = ["--out", str(tmp_path / "scores.csv")]
    command = ["predict", str(checkpoint), str(scans), "--engine", "openvino", "--threads", "1"]
    done = CliRunner().invoke(app, [*command, *out, "--timings"])
    assert done.exit_code == 0, done.output
    assert "5 scans scored, 0 refused, by openvino, 1 thread." in " ".join(done.output.split())
    rows = {line.split("│")[1].strip() for line in done.output.splitlines() if "│" in line}
    assert {"read and check", "prepare", "network", "write"} <= rows
    assert "Timings" not in CliRunner().invoke(app, [*command, *out]).output
