"""A study whose trials are asked for and run here, as the sweeper does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna

from covidlit.sweep.storage import open_storage
from covidlit.sweep.trial import SweepTrial
from covidlit.sweep.trial_run import run_trial

NARROW = ["model.task.net.width=4", "model.task.net.hidden=[8,8]"]


class Sweep:
    """A study in a folder, whose trials are asked for here as the sweeper does."""

    def __init__(
        self, folder: Path, direction: str = "maximize", storage: str | None = None
    ) -> None:
        self.folder, self.storage = folder, storage
        self.study = optuna.create_study(
            storage=open_storage(storage, folder), study_name="tiny", direction=direction
        )

    def trial(self, **settings: Any) -> SweepTrial:
        number = self.study.ask().number
        return SweepTrial(number, "tiny", self.storage, self.folder, **settings)

    def run(self, config: dict[str, Any], **settings: Any) -> tuple[float, Path]:
        """Run one trial; its value and its folder."""
        trial = self.trial(**settings)
        folder = self.folder / f"trial_{trial.number}"
        return run_trial(config, folder, trial), folder

    def newest(self) -> optuna.trial.FrozenTrial:
        return self.study.get_trials()[-1]
