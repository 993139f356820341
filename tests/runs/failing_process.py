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
from covidlit.runs.other_processes import EndTogether

_rank, _place, _kind = os.environ["FAULT"].split()


def _fail(run_dir: Path) -> None:
    (run_dir / "failed_at").write_text(str(time.time()))
    if _kind.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[_kind])
    elif _kind == "CovidlitError":
        raise CovidlitError("the made-up fault.")
    else:
        raise KeyError("the made-up fault.")


class Faulty(BoringModel):  # type: ignore[misc]
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if batch_idx == 2 and _place == "step" and self.global_rank == int(_rank):
            _fail(Path(self.trainer.default_root_dir))


def train(config: dict[str, Any], run_dir: Path) -> None:
    """In place of `covidlit.runs.steps.train_and_evaluate`, and as `LightningRunner.fit` does."""
    sys.stderr.write(f"process {os.getpid()}\n")
    if _place == "before" and os.environ.get("LOCAL_RANK", "0") == _rank:
        _fail(run_dir)
    end_together = EndTogether()
    trainer = pl.Trainer(
        accelerator="cpu", devices=2, strategy="ddp", max_epochs=1, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=run_dir, callbacks=[end_together],
    )  # fmt: skip
    with end_together.around(trainer):
        trainer.fit(Faulty())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where started in the background
    covidlit.runs.steps.train_and_evaluate = train  # type: ignore[assignment]
    covidlit.cli.train.main()
