"""A training command for tests, of which one process fails or is stopped: `train.py` with a fault.

`FAULT` says which process fails (its rank), where and with what, such as "1 step KeyError".
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.demos.boring_classes import BoringModel

import covidlit.cli.train
import covidlit.runs.steps
from covidlit.errors import CovidlitError
from covidlit.runs.several_devices import EndOnSigterm, in_processes, needs_processes

_rank, _place, _kind = os.environ["FAULT"].split()


def _fail(run_dir: Path) -> None:
    (run_dir / "failed_at").write_text(str(time.time()))
    if _kind.startswith("SIG"):
        to = os.getppid() if _place == "first" else os.getpid()
        os.kill(to, signal.Signals[_kind])
        if _place == "first":
            time.sleep(60)  # as in a collective that never ends
    elif _kind == "CovidlitError":
        raise CovidlitError("the made-up fault.")
    else:
        raise KeyError("the made-up fault.")


class Faulty(BoringModel):  # type: ignore[misc]
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if batch_idx == 2 and _place != "before" and self.global_rank == int(_rank):
            _fail(Path(self.trainer.default_root_dir))


def trainer(run_dir: Path) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu", devices=2, strategy="ddp", max_epochs=1, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=run_dir, callbacks=[EndOnSigterm()],
    )  # fmt: skip


def fit(run_dir: Path) -> None:
    """As `LightningRunner` does it in each process."""
    sys.stderr.write(f"process {os.getpid()}\n")
    if _place == "before" and os.environ["LOCAL_RANK"] == _rank:
        _fail(run_dir)
    trainer(run_dir).fit(Faulty())


def train(config: dict[str, Any], run_dir: Path) -> None:
    """In place of `covidlit.runs.steps.train_and_evaluate`."""
    first = trainer(run_dir)
    assert needs_processes(first, "ddp")
    in_processes(first, fit, run_dir)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where started in the background
    covidlit.runs.steps.train_and_evaluate = train  # type: ignore[assignment]
    covidlit.cli.train.main()
