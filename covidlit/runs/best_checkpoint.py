"""The checkpoint with the best validation score, also of a run that was stopped and resumed."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from covidlit.errors import CheckpointError
from covidlit.files import atomic_path


class BestCheckpoint(ModelCheckpoint):
    """A ModelCheckpoint that keeps the best epoch when a run goes on in another folder.

    Lightning forgets the best score there, and would take the best of the remaining epochs for the
    best of all. Here the best checkpoint so far is copied from beside the resumed one.
    """

    _resumed_from: Path | None = None
    _is_first_process = True

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Note whether this process may write."""
        super().setup(trainer, pl_module, stage)
        self._is_first_process = trainer.is_global_zero

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note where the run is resumed from, before the state is loaded."""
        if trainer.ckpt_path is not None:  # it is set after `setup`
            self._resumed_from = Path(trainer.ckpt_path).parent

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best score and its checkpoint.

        Raises:
            CheckpointError: the best checkpoint so far does not lie beside the resumed one.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The dirpath has changed")
            super().load_state_dict(state_dict)
        before = state_dict["best_model_path"]
        if not before or self.dirpath is None or self.dirpath == state_dict.get("dirpath"):
            return
        score = state_dict["best_model_score"]
        source = (self._resumed_from or Path(before).parent) / Path(before).name
        if not source.is_file():
            raise CheckpointError(
                "the best checkpoint of the run to go on with is missing.",
                where=source,
                fix="copy it from the run's folder, or set model.weights=last and "
                "callbacks=last_epoch.",
            )
        path = Path(self.dirpath) / source.name
        if self._is_first_process:
            with atomic_path(path) as temporary:
                shutil.copyfile(source, temporary)
        self.best_model_path = self.kth_best_model_path = str(path)
        self.best_model_score = self.kth_value = score
        self.best_k_models = {str(path): score}
