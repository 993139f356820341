"""What a study has come to: its trials by outcome, the best one, what they spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

NOT_NEEDED = "not needed"
"""Reason of a trial that a second sweeper began when the total was reached already."""

KILLED, STOPPED = "killed with its sweeper", "stopped with its sweeper"
"""Reasons of a trial that ran when its sweeper ended; its parameters are tried again."""

OUTCOMES = {
    "finished": "finished",
    "pruned": "pruned",
    "failed": "failed",
    "stopped": "stopped with their sweeper",
    "running": "running",
    "waiting": "waiting",
}
"""How a trial can stand, with the words for several of them; "not needed" ones are left out."""


@dataclass(frozen=True)
class Summary:
    """The trials of a study in the order of their numbers, and what is known of them.

    Attributes:
        trials: without those that were withdrawn because the total was reached.
        maximise: whether a higher value is better.
        best: the finished trial with the best value; None where none has finished.
        counts: number of trials by the keys of `OUTCOMES`.
    """

    trials: tuple[FrozenTrial, ...]
    maximise: bool
    best: FrozenTrial | None
    counts: dict[str, int]

    @property
    def finished(self) -> list[FrozenTrial]:
        """The finished trials, which all have a value."""
        return [trial for trial in self.trials if outcome(trial) == "finished"]

    def ranked(self) -> list[FrozenTrial]:
        """The finished trials, the best first; of equal ones the earlier."""
        sign = -1 if self.maximise else 1
        return sorted(self.finished, key=lambda trial: (sign * value_of(trial), trial.number))

    def parameters(self) -> list[str]:
        """Names of the parameters that any trial drew, in the order in which they appear."""
        return list(dict.fromkeys(name for trial in self.trials for name in trial.params))

    def sentence(self) -> str:
        """The counts in words, such as "12 finished, 7 pruned, 1 failed"."""
        known = [f"{n} {OUTCOMES[key]}" for key, n in self.counts.items() if n]
        return ", ".join(known) or "no trial yet"


def summarise(study: Study) -> Summary:
    """The summary of a study; see `summarise_trials`."""
    return summarise_trials(study.get_trials(deepcopy=False), study.direction.name == "MAXIMIZE")


def summarise_trials(trials: Sequence[FrozenTrial], maximise: bool = True) -> Summary:
    """The summary of trials.

    Args:
        trials: in any order.
        maximise: whether a higher value is better.
    """
    kept = sorted((t for t in trials if outcome(t) != "withdrawn"), key=lambda t: t.number)
    counts = dict.fromkeys(OUTCOMES, 0)
    for trial in kept:
        counts[outcome(trial)] += 1
    summary = Summary(tuple(kept), maximise, None, counts)
    ranked = summary.ranked()
    return Summary(tuple(kept), maximise, ranked[0] if ranked else None, counts)


def outcome(trial: FrozenTrial) -> str:
    """How a trial stands: a key of `OUTCOMES`, or "withdrawn"."""
    plain = {
        TrialState.COMPLETE: "finished",
        TrialState.PRUNED: "pruned",
        TrialState.RUNNING: "running",
        TrialState.WAITING: "waiting",
    }
    if trial.state in plain:
        return plain[trial.state]
    reason = str(trial.user_attrs.get("reason", ""))
    return (
        "withdrawn"
        if reason == NOT_NEEDED
        else "stopped"
        if reason in (KILLED, STOPPED)
        else "failed"
    )


def value_of(trial: FrozenTrial) -> float:
    """The objective of a finished trial."""
    assert trial.value is not None
    return trial.value


def epochs_of(trial: FrozenTrial) -> int | None:
    """The epochs that a trial went through; None where nothing says so."""
    known = trial.user_attrs.get("epochs")
    return int(known) if isinstance(known, int | float) and math.isfinite(known) else None


def curve_of(trial: FrozenTrial) -> list[tuple[int, float]]:
    """The reported (step, value) pairs of a trial that are numbers, in the order of the steps."""
    pairs = sorted(trial.intermediate_values.items())
    return [(step, value) for step, value in pairs if math.isfinite(value)]


def short_names(names: Sequence[str]) -> dict[str, str]:
    """The shortest ends of dotted names that still tell them apart.

    `model.task.optimizer.lr` becomes `lr`, beside `schedule.lr` it becomes `optimizer.lr`.
    """
    parts = {name: name.split(".") for name in names}
    short = {}
    for name in names:
        for size in range(1, len(parts[name]) + 1):
            end = parts[name][-size:]
            if sum(other[-size:] == end for other in parts.values()) == 1:
                break
        short[name] = ".".join(end)
    return short


def shown(value: Any) -> str:
    """A parameter's value as it is shown: numbers with three digits, all else as it is."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def metric_of(study: Study) -> str:
    """The name of the reported metric, as a reader knows it."""
    name = str(study.user_attrs.get("metric", "value"))
    return {"val_auroc": "validation AUC"}.get(name, name)


def folds_of(study: Study) -> int | None:
    """Number of cross-validation folds inside each trial; None: one validation part."""
    settings = study.user_attrs.get("settings")
    folds = settings.get("folds") if isinstance(settings, dict) else None
    return int(folds) if folds else None
