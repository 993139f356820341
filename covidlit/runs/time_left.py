"""How long a training will take, said once its first epoch shows it."""

from __future__ import annotations

import logging
import time

import pytorch_lightning as pl

log = logging.getLogger(__name__)


class TimeLeft(pl.Callback):
    """Logs after the first epoch how long the rest of the run is about to take.

    Args:
        n_after: trainings that follow in the same run, such as further folds.
    """

    def __init__(self, n_after: int = 0) -> None:
        self._n_after = n_after
        self._began: tuple[int, float] | None = None
        self._said = False

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the time; the second epoch begins when the first one was validated, too."""
        now, epoch, last = time.monotonic(), trainer.current_epoch, trainer.max_epochs
        if self._began is None:
            self._began = (epoch, now)
        elif not self._said and trainer.is_global_zero and last is not None and last > 0:
            self._said = True
            seconds = (now - self._began[1]) / (epoch - self._began[0])
            own = seconds * (last - epoch)
            text = f"Epoch {epoch} of {last} took {_text(seconds)}: about {_text(own)} are left"
            if self._n_after:
                every = own + self._n_after * last * seconds
                text += f" for this fold, {_text(every)} with the {self._n_after} that follow"
            log.info("%s.", text)


def _text(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
