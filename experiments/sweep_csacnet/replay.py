"""Optuna's pruners on learning curves that are known to their end: what would they have saved?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from hydra.utils import instantiate
from optuna.trial import TrialState


@dataclass(frozen=True)
class Curve:
    """A trial that ran to its end.

    Attributes:
        number: of the trial.
        reports: validation AUC after each epoch.
        value: the objective at the end.
    """

    number: int
    reports: tuple[float, ...]
    value: float


@dataclass(frozen=True)
class Replayed:
    """What a sweep over the same trials would have come to.

    Attributes:
        epochs: that were trained.
        whole: epochs without pruning.
        pruned: numbers of the trials that were stopped.
        best: highest value of a trial that was not.
        best_unpruned: highest value of all.
    """

    epochs: int
    whole: int
    pruned: tuple[int, ...]
    best: float
    best_unpruned: float

    @property
    def saved(self) -> float:
        """Share of the epochs that were not trained."""
        return 1 - self.epochs / self.whole

    @property
    def lost(self) -> float:
        """How far the best value is below that without pruning."""
        return self.best_unpruned - self.best


def replay(
    curves: Sequence[Curve], pruner: dict[str, Any], seed: int = 0, n_workers: int = 1
) -> Replayed:
    """Run the trials in their order again and let the pruner see what they reported.

    Args:
        curves: in the order in which the trials begin; at least one.
        pruner: as in `hydra/sweeper/pruner`, with `_target_`.
        seed: names the study, from which Hyperband draws the bracket of a trial.
        n_workers: so many trials run at a time, an epoch each in turn.
    """
    study = optuna.create_study(
        direction="maximize", pruner=instantiate(pruner), study_name=f"replay {seed}"
    )
    waiting = list(curves)
    running: list[tuple[Curve, optuna.Trial, list[float]]] = []
    epochs, pruned, values = 0, [], []
    while waiting or running:
        while waiting and len(running) < n_workers:
            curve = waiting.pop(0)
            running.append((curve, study.ask(), list(curve.reports)))
        for entry in list(running):
            curve, trial, left = entry
            if left:
                trial.report(left.pop(0), len(curve.reports) - len(left) - 1)
                epochs += 1
                if left and trial.should_prune():  # at its last epoch none is stopped any more
                    study.tell(trial, state=TrialState.PRUNED)
                    pruned.append(curve.number)
                    running.remove(entry)
                    continue
            if not left:
                study.tell(trial, curve.value)
                values.append(curve.value)
                running.remove(entry)
    return Replayed(
        epochs=epochs,
        whole=sum(len(curve.reports) for curve in curves),
        pruned=tuple(pruned),
        best=max(values),
        best_unpruned=max(curve.value for curve in curves),
    )
