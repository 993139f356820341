"""The narrowing pruner, against ranks worked out by hand."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

STUDY = Path(__file__).parents[1] / "experiments" / "sweep_csacnet"
sys.path.insert(0, str(STUDY))
from narrowing import NarrowingPruner  # noqa: E402

sys.path.remove(str(STUDY))
STEPS = 10


def study_of(
    curves: list[list[float]], direction: str = "maximize", pruner: NarrowingPruner | None = None
) -> optuna.Study:
    """A study whose trials have ended: those that are shorter than `STEPS` were stopped."""
    study = optuna.create_study(direction=direction, pruner=pruner)
    for curve in curves:
        whole = len(curve) == STEPS
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if whole else TrialState.PRUNED,
                value=curve[-1] if whole else None,
                intermediate_values=dict(enumerate(curve)),
            )
        )
    return study


def stopped_at(study: optuna.Study, curve: list[float]) -> int | None:
    """The first step at which a new trial with these values is stopped."""
    trial = study.ask()
    for step, value in enumerate(curve):
        trial.report(value, step)
        if trial.should_prune():
            return step
    return None


def flat(level: float, steps: int = STEPS) -> list[float]:
    return [level] * steps


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize(("n_better", "expected"), [(0, None), (2, None), (5, 4), (8, 1), (10, 0)])
def test_a_trial_ends_where_too_many_are_better(
    direction: str, n_better: int, expected: int | None
) -> None:
    # Kept are 88%, 77%, 65%, 53%, 42% and, from the sixth step on, 30%: stopped is who has more
    # than the same share of all before him. Of 10 trials 5 are too many at 42%, 8 at 77%.
    sign = 1 if direction == "maximize" else -1
    study = study_of(
        [flat(sign * (0.5 + 0.01 * k)) for k in range(10)],
        direction,
        NarrowingPruner(keep=0.3, by=0.6, n_warmup_steps=0),
    )
    assert stopped_at(study, flat(sign * (0.595 - 0.01 * n_better))) == expected


def test_stopped_trials_count_as_worse_where_they_have_no_value() -> None:
    curves = [flat(0.6), *[flat(0.9, 3)] * 9]
    pruner = NarrowingPruner(n_warmup_steps=0)
    assert stopped_at(study_of(curves, pruner=pruner), flat(0.5)) == 0
    late = [0.95] * 3 + [0.5] * (STEPS - 3)
    assert stopped_at(study_of(curves, pruner=pruner), late) is None


def test_one_low_value_among_high_ones_stops_no_trial() -> None:
    pruner = NarrowingPruner(keep=0.5)
    study = study_of([flat(level) for level in (0.5, 0.55, 0.6, 0.65)], pruner=pruner)
    assert stopped_at(study, [*flat(0.8, 6), 0.45, *flat(0.8, 3)]) is None
    assert stopped_at(study, [*flat(0.8, 6), 0.3, 0.3, 0.3, 0.3]) == 7


def test_none_is_stopped_before_enough_have_ended() -> None:
    worst = flat(0.1)
    assert stopped_at(study_of([flat(0.9)] * 2, pruner=NarrowingPruner()), worst) is None
    assert stopped_at(study_of([flat(0.9)] * 3, pruner=NarrowingPruner()), worst) == 3
    none_finished = study_of([flat(0.9, 5)] * 8, pruner=NarrowingPruner())
    assert stopped_at(none_finished, worst) is None


def test_a_trial_without_a_number_is_stopped() -> None:
    study = study_of([flat(0.9)] * 3, pruner=NarrowingPruner())
    assert stopped_at(study, [0.9, 0.9, 0.9, math.nan]) == 3
