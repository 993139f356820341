"""A run that is stopped says how it goes on, and its exit code says what stopped it."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.demos.boring_classes import BoringModel

import covidlit.cli.train
import covidlit.runs.steps
from covidlit.errors import CovidlitError, TrainingError
from covidlit.files import write_text
from covidlit.runs.stopped import end_with_way_on
from covidlit.tasks.base import diverged

Stop = Callable[..., str]


class Stopped(BoringModel):  # type: ignore[misc]
    """Receives a signal in its first batch, as from the keyboard or from a scheduler."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self.number = number

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        signal.raise_signal(self.number)


@pytest.fixture
def stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Stop]:
    """Runs the real command with a training that is stopped; returns what it says at its end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # As in a terminal; a shell's background job starts with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def run(number: signal.Signals, code: int, *arguments: str, finished: bool = False) -> str:
        def train(config: dict[str, Any], run_dir: Path) -> None:
            if finished:
                write_text(run_dir / "checkpoints" / "last.ckpt", "")
            trainer = pl.Trainer(
                accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False,
                enable_progress_bar=False, enable_model_summary=False, default_root_dir=run_dir,
            )  # fmt: skip
            trainer.fit(Stopped(number))
            raise AssertionError("the training went on")

        monkeypatch.setattr(covidlit.runs.steps, "train_and_evaluate", train)
        none = ["hydra/job_logging=none", "hydra/hydra_logging=none"]
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments, *none])
        with pytest.raises(SystemExit) as end:
            covidlit.cli.train.main()
        assert end.value.code == code
        return capsys.readouterr().err

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_run_that_is_stopped_says_how_it_goes_on(
    number: signal.Signals, code: int, name: str, stop: Stop, tmp_path: Path
) -> None:
    said = stop(number, code, f"hydra.run.dir={tmp_path}", finished=True)
    assert (
        f"The run was stopped ({name}). To go on after its last finished epoch, give the same"
        in said
    )
    assert f"hydra.run.dir={tmp_path}; or ckpt_path={tmp_path}/checkpoints/last.ckpt" in said
    assert "Traceback" not in said


@pytest.mark.filterwarnings("ignore")
def test_a_sweep_ends_with_the_job_that_is_stopped(stop: Stop, tmp_path: Path) -> None:
    sweep = ["-m", "seed=1,2", f"hydra.sweep.dir={tmp_path}"]
    said = stop(signal.SIGINT, 130, *sweep)
    assert said.count("No epoch was finished") == 1
    assert len(list(tmp_path.glob("*_csacnet"))) == 1


def test_a_diverged_training_names_what_is_kept(tmp_path: Path) -> None:
    last = tmp_path / "checkpoints" / "last.ckpt"
    with pytest.raises(TrainingError) as error, end_with_way_on(tmp_path):
        raise diverged("val_loss is nan in epoch 0")
    assert "last.ckpt" not in str(error.value)
    write_text(last, "")
    with pytest.raises(TrainingError) as error, end_with_way_on(tmp_path):
        raise diverged("val_loss is nan in epoch 3")
    assert "val_loss is nan in epoch 3" in error.value.what
    assert "lower the learning rate" in str(error.value.fix)
    assert f"kept in {last}" in str(error.value.fix)


def test_a_full_disk_names_what_is_kept(tmp_path: Path) -> None:
    last = write_text(tmp_path / "checkpoints" / "last.ckpt", "")
    with pytest.raises(CovidlitError, match="disk is full") as error, end_with_way_on(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device", "x")
    assert f"ckpt_path={last}" in str(error.value.fix)
    with pytest.raises(PermissionError), end_with_way_on(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_other_ends_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end, end_with_way_on(tmp_path):
        sys.exit(3)
    assert end.value.code == 3
