"""What would make trials fail or incomparable, found out before the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from covidlit.errors import ConfigError
from covidlit.settings.trainer import number_of_devices

if TYPE_CHECKING:
    from covidlit.runs.outcomes.outcome import Outcome
    from covidlit.sweep.parameters import Parameter
    from covidlit.sweep.settings import SweepSettings

_DIRECTIONS = {"max": "maximize", "min": "minimize"}

_SCANS = (
    "split", "label_rule", "inclusion", "data", "data.source", "data.min_slices",
    "data.override_checks", "strict", "experiment",
)  # fmt: skip
"""Settings that say which scans there are, in which part, with which label; with what is below."""


def check_comparable(parameters: Sequence[Parameter]) -> None:
    """Refuse to draw what decides on which scans, or by which chance, a trial is judged.

    Args:
        parameters: of the search space.

    Raises:
        ConfigError: the best trial would be the one with the easiest scans, or the luckiest.
    """
    for setting in (parameter.setting for parameter in parameters):
        if setting == "seed":
            why = "the best of several seeds is only the luckiest, and the split follows the seed."
        elif any(setting == name or _below(setting, name) for name in _SCANS):
            why = "its values would be judged by other scans or labels, so they have no order."
        else:
            continue
        raise ConfigError(
            why,
            where=setting,
            fix=f"fix it for the sweep; whole runs side by side: `-m {setting}=...`, no sweep=.",
        )


def _below(setting: str, name: str) -> bool:
    # What `data` holds beside the scans (such as batch_size) may be drawn; the group may not.
    return name != "data" and setting.startswith(f"{name}.")


def check_trial(config: Any) -> None:
    """Refuse what no trial can be run with.

    Args:
        config: the composed configuration of a trial, of `conf/train.yaml`; with `hydra` or not.

    Raises:
        ConfigError: it goes on from a checkpoint, or trains on several devices.
    """
    if config.get("ckpt_path"):
        raise ConfigError(
            "every trial would go on from the same checkpoint.",
            where="ckpt_path",
            fix="leave it out: the same command goes on with a sweep that was stopped.",
        )
    refuse_several_devices(config["trainer"])


def refuse_several_devices(trainer: Any) -> None:
    """Refuse several devices for one of several runs: those of a command share its machine.

    Raises:
        ConfigError: the node `trainer` asks for several devices.
    """
    several = number_of_devices(trainer.get("devices", 1)) != 1
    if several or trainer.get("num_nodes", 1) != 1:
        raise ConfigError(
            "-m cannot be combined with training on several devices.",
            where="trainer.devices",
            fix="use trainer.devices=1 for the sweep, or start the runs one by one.",
        )


def check_direction(direction: str, outcome: Outcome) -> None:
    """Refuse to look for the worst value of an outcome.

    Raises:
        ConfigError: the study maximises what is better the lower it is, or the other way round.
    """
    wanted = _DIRECTIONS[outcome.mode]
    if direction != wanted:
        raise ConfigError(
            f"a trial's value is the {outcome.metric} on the validation part; {direction} would "
            "look for the worst.",
            where="hydra.sweeper.direction",
            fix=f"set it to {wanted}, with another hydra.sweeper.study_name.",
        )


def why_nothing_is_reported(config: Any, folds: int | None) -> str | None:
    """Why a trial's epochs will have no value; None where they have.

    Args:
        config: the composed configuration of a trial, with the group `model`.
        folds: of the cross-validation inside it, which reports after each.
    """
    trainer = config["model"].get("trainer")
    if folds is not None or trainer is None:
        return None
    every, epochs = trainer.get("check_val_every_n_epoch") or 1, trainer.get("max_epochs") or 0
    if trainer.get("limit_val_batches") == 0:
        return "trainer.limit_val_batches=0 validates no epoch"
    if 0 < epochs < every:
        return f"trainer.check_val_every_n_epoch={every} validates no epoch of {epochs}"
    return None


def why_nothing_is_pruned(config: Any, settings: SweepSettings) -> str | None:
    """Why the settings of the pruner, whichever it is, leave it no trial to stop; None if not so.

    Args:
        config: the composed configuration of a trial, with the group `model`.
        settings: of the sweep.
    """
    trainer, pruner = config["model"].get("trainer") or {}, settings.pruner
    steps, name = settings.folds, "folds"
    if steps is None:
        steps, name = trainer.get("max_epochs") or 0, "epochs"
    # What is reported last ends a trial, which is not stopped any more.
    for key in ("n_warmup_steps", "min_resource"):  # the first step, from 0, that is judged
        given = pruner.get(key)
        if steps > 0 and isinstance(given, int) and given > steps - 2:
            return (
                f"hydra.sweeper.pruner.{key}={given} lets none be stopped before the last of "
                f"{steps} {name}"
            )
    first = pruner.get("n_startup_trials")
    if isinstance(first, int) and first >= settings.n_trials:
        return (
            f"hydra.sweeper.pruner.n_startup_trials={first} lets none of n_trials="
            f"{settings.n_trials} be stopped"
        )
    return None
