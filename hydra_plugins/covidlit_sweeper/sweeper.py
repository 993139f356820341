"""The sweeper as Hydra knows it; what it does is in `covidlit.sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

_BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


class CovidlitSweeper(Sweeper):
    """Optuna behind `-m`, with pruning, resuming and workers; settings in `covidlit.yaml`."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self.hydra_context: HydraContext | None = None
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None
        self._task: TaskFunction | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra gives, with the launcher where it is another than the basic one."""
        from hydra.core.plugins import Plugins

        self.hydra_context, self._task, self.config = hydra_context, task_function, config
        if config.hydra.launcher.get("_target_") != _BASIC:
            self.launcher = Plugins.instance().instantiate_launcher(
                hydra_context=hydra_context, task_function=task_function, config=config
            )

    def sweep(self, arguments: Sequence[str]) -> None:
        """Run the trials that the study lacks."""
        from covidlit.sweep.command import run_sweep
        from covidlit.sweep.job import Application
        from covidlit.sweep.settings import read_settings

        assert self.hydra_context is not None
        assert self.config is not None
        assert self._task is not None
        run_sweep(
            read_settings(self._settings),
            Application(self.hydra_context, self.config, self._task),
            self.launcher,
            list(arguments),
        )
