"""Training in two processes over gloo, started by covidlit or as SLURM would, against one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import factor_cohort
import pandas as pd
import pytest
import torch

from covidlit.cohort.splits import Split
from covidlit.evaluation import read_predictions

ROOT = Path(__file__).parents[2]
EXACT = [
    "model=csacnet", "model.task.net.width=4", "model.task.net.norm=group",
    "model.task.net.dropout=0", "model.task.class_weights=balanced", "trainer.max_epochs=2",
]  # fmt: skip
TWO = ["trainer.accelerator=cpu", "trainer.precision=32-true"]


TRAIN = ["train.py"]
COVIDLIT_TRAIN = ["-c", "from covidlit.cli.app import app; app()", "train"]


def _start(
    overrides: list[str],
    run_dir: Path,
    environment: dict[str, str] | None = None,
    command: list[str] = TRAIN,
) -> subprocess.Popen[str]:
    arguments = [*command, *overrides, f"hydra.run.dir={run_dir}"]
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
    )  # fmt: skip


def _finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=280)
    assert process.returncode == 0, output
    return output


def _epochs(run_dir: Path) -> pd.DataFrame:
    """The metrics of each epoch."""
    return pd.read_csv(run_dir / "logs" / "metrics.csv").groupby("epoch").first()


@pytest.fixture(scope="module")
def one_process(train: Callable[..., Path]) -> Path:
    return train(*EXACT, "data.batch_size=4")


def _assert_same_training(run_dir: Path, one_process: Path) -> None:
    # Sums in another order differ in the last bits of float32; Adam makes 1e-4 of that at most.
    found, expected = _epochs(run_dir), _epochs(one_process)
    names = [name for name in expected if name.startswith(("train_", "val_"))]
    assert len(names) == 10
    pd.testing.assert_frame_equal(found[names], expected[names], rtol=1e-4, atol=1e-5)
    scores, wanted = (
        read_predictions(run / "predictions.parquet").sort_values("scan_id")
        for run in (run_dir, one_process)
    )
    assert scores["scan_id"].is_unique
    assert scores["scan_id"].tolist() == wanted["scan_id"].tolist()
    assert scores["score"].to_numpy() == pytest.approx(wanted["score"].to_numpy(), abs=1e-4)


def test_two_processes_train_as_one(
    tiny_overrides: list[str], one_process: Path, tmp_path: Path
) -> None:
    parts = Split.load(one_process / "split.json")
    sizes = [len(parts.scans(part)) for part in ("train", "validation")]
    assert any(size % 2 for size in sizes), "two processes cannot have as many scans each"
    _finish(_start([*tiny_overrides, *EXACT, "trainer=ddp", *TWO, "data.batch_size=2"], tmp_path))
    _assert_same_training(tmp_path, one_process)


def test_two_processes_calibrate_a_severity_as_one(tmp_path: Path) -> None:
    """Each process draws half of the rows, and scores all that were held back."""
    manifest, quantified = factor_cohort.write_cohort(tmp_path)
    overrides = [
        "model=fusion_ann", "data=factors", f"data.source.path={manifest}",
        f"data.factors={quantified}", f"data_dir={tmp_path}", "data.balanced=class",
        "split=k_fold", "split.n_folds=3", "trainer.max_epochs=3", "model.task.net.members=2",
        "importance=0", "evaluation.n_bootstrap=100", "name=test", "data.n_jobs=1",
    ]  # fmt: skip
    found = {}
    for n, given in ((1, []), (2, ["trainer=ddp", *TWO])):
        run_dir = tmp_path / str(n)
        _finish(_start([*overrides, f"data.batch_size={16 // n}", *given], run_dir))
        kept = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
        found[n] = kept["state_dict"]["calibration"]
    assert not torch.equal(found[2], torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(found[2], found[1], rtol=0.05, atol=0.05)


def test_two_tasks_of_slurm_train_as_one(
    tiny_overrides: list[str], one_process: Path, tmp_path: Path
) -> None:
    job = {
        "SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NAME": "study", "SLURM_NTASKS": "2",
        "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "1", "SLURM_NODELIST": "127.0.0.1",
        "SLURM_LOCALID": "0",
    }  # fmt: skip
    overrides = [
        *tiny_overrides, *EXACT, "trainer=slurm", *TWO, "data.batch_size=2", "trainer.devices=1",
    ]  # fmt: skip
    tasks = [
        _start(overrides, tmp_path, {**job, "SLURM_PROCID": str(node), "SLURM_NODEID": str(node)})
        for node in range(2)
    ]
    try:
        outputs = [_finish(task) for task in tasks]
    finally:
        for task in tasks:
            task.kill()
    assert all(f"MEMBER: {rank + 1}/2" in output for rank, output in enumerate(outputs))
    assert (tmp_path / "train.log").read_text().count("Report: ") == 1
    _assert_same_training(tmp_path, one_process)


def test_a_resumed_training_of_two_processes_goes_on_as_one_without_a_break(
    tiny_overrides: list[str], tmp_path: Path
) -> None:
    each = ["callbacks.last.filename='{epoch}'", "+callbacks.last.save_top_k=-1"]
    overrides = [
        *tiny_overrides, *EXACT, "model.task.net.dropout=0.5", "model.task.net.norm=batch",
        "trainer=ddp", *TWO, *each,
    ]  # fmt: skip
    _finish(_start(overrides, tmp_path / "whole", command=COVIDLIT_TRAIN))
    log = (tmp_path / "whole" / "train.log").read_text()
    for said in (
        "Training on 2 x CPU",
        "Training starts",
        "trainable parameters",
        "Training ended",
        "Report: ",
    ):
        assert log.count(said) == 1, "each once, though two processes ran"

    first = tmp_path / "whole" / "checkpoints" / "epoch=0.ckpt"
    _finish(_start([*overrides, f"ckpt_path='{first}'"], tmp_path / "resumed"))
    whole, resumed = _epochs(tmp_path / "whole"), _epochs(tmp_path / "resumed")
    names = [name for name in whole if name.startswith(("train_", "val_"))]
    pd.testing.assert_frame_equal(resumed.loc[[1], names], whole.loc[[1], names], check_exact=True)
    ends = [
        torch.load(tmp_path / name / "checkpoints" / "epoch=1.ckpt", weights_only=True)[
            "state_dict"
        ]
        for name in ("whole", "resumed")
    ]
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
