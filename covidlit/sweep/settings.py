"""The settings of a sweep, `hydra.sweeper` in the configuration, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from covidlit.arguments import is_number, require_whole_number
from covidlit.errors import ConfigError
from covidlit.settings.keys import check_keys

_NODE = "hydra.sweeper"


@dataclass(frozen=True)
class SweepSettings:
    """What `hydra/sweeper/covidlit.yaml` sets; its comments say what each means."""

    sampler: Mapping[str, Any]
    pruner: Mapping[str, Any]
    study_name: str
    storage: str | None
    direction: str
    n_trials: int
    n_jobs: int
    gpus: Sequence[int | str] | None
    trial_timeout: float | None
    max_failure_rate: float
    folds: int | None
    params: Mapping[str, Any]
    conditional: Sequence[Mapping[str, Any]]
    trial: int | None = None

    def check(self, own_workers: bool) -> None:
        """Refuse settings that mean nothing.

        Args:
            own_workers: whether covidlit's own processes run the jobs, not a launcher.

        Raises:
            ConfigError: names the setting and what it takes.
        """
        require_whole_number(self.n_trials, f"{_NODE}.n_trials", at_least=1)
        require_whole_number(self.n_jobs, f"{_NODE}.n_jobs", at_least=1)
        if self.folds is not None:
            require_whole_number(self.folds, f"{_NODE}.folds", at_least=2)
        if self.direction not in ("maximize", "minimize"):
            _refuse("direction", self.direction, "give maximize or minimize.")
        if not is_number(self.max_failure_rate) or not 0 <= self.max_failure_rate <= 1:
            _refuse("max_failure_rate", self.max_failure_rate, "give a share from 0 to 1.")
        if self.trial_timeout is not None:
            if not is_number(self.trial_timeout) or self.trial_timeout <= 0:
                _refuse("trial_timeout", self.trial_timeout, "give seconds, or null.")
            if not own_workers:
                fix = "use the launcher's own limit, such as hydra.launcher.timeout_min."
                _refuse("trial_timeout", "for covidlit's own worker processes alone", fix)
        if self.gpus is not None:
            if not isinstance(self.gpus, list | tuple) or not self.gpus:
                _refuse("gpus", self.gpus, "give a list of indices, such as [0,1], or null.")
            if not own_workers:
                fix = "let the launcher hand them out, such as hydra.launcher.gpus_per_node."
                _refuse("gpus", "for covidlit's own worker processes alone", fix)


def read_settings(node: Mapping[str, Any]) -> SweepSettings:
    """Read the settings that Hydra has composed.

    Raises:
        ConfigError: an unknown or a missing one.
    """
    known = [field.name for field in fields(SweepSettings)]
    check_keys(_NODE, node, known)
    if missing := [name for name in known if name not in node and name != "trial"]:
        raise ConfigError(
            f"{', '.join(missing)} is missing.",
            where=_NODE,
            fix="choose the sweeper by the group: hydra/sweeper=covidlit.",
        )
    return SweepSettings(**node)


def _refuse(name: str, value: object, fix: str) -> None:
    raise ConfigError(f"it is {value}.", where=f"{_NODE}.{name}", fix=fix)
