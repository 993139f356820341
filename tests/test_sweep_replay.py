"""The replay of pruners on known curves, against answers known beforehand and against Optuna."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hydra.utils import instantiate

STUDY = Path(__file__).parents[1] / "experiments" / "sweep_csacnet"
sys.path.insert(0, str(STUDY))
from replay import Curve, replay  # noqa: E402

sys.path.remove(str(STUDY))

EPOCHS = 9
MEDIAN = {
    "_target_": "optuna.pruners.MedianPruner", "n_startup_trials": 1, "n_warmup_steps": 2,
}  # fmt: skip
HYPERBAND = {
    "_target_": "optuna.pruners.HyperbandPruner", "min_resource": 1, "max_resource": EPOCHS,
    "reduction_factor": 3,
}  # fmt: skip
NONE = {"_target_": "optuna.pruners.NopPruner"}


def flat(levels: list[float]) -> list[Curve]:
    """Trials that report the same value in each epoch."""
    return [Curve(n, (level,) * EPOCHS, level) for n, level in enumerate(levels)]


def test_without_a_pruner_nothing_is_saved_or_lost() -> None:
    run = replay(flat([0.5, 0.9, 0.7]), NONE)
    assert (run.epochs, run.whole, run.pruned) == (27, 27, ())
    assert (run.saved, run.lost, run.best) == (0, 0, 0.9)


def test_each_trial_worse_than_the_first_is_stopped_after_the_warm_up() -> None:
    run = replay(flat([0.9, 0.8, 0.7, 0.6]), MEDIAN)
    assert run.pruned == (1, 2, 3)
    assert run.epochs == EPOCHS + 3 * 3
    assert run.saved == pytest.approx(1 - 18 / 36)
    assert run.lost == 0


def test_trials_that_get_better_and_better_are_all_finished() -> None:
    run = replay(flat([0.6, 0.7, 0.8, 0.9]), MEDIAN)
    assert (run.pruned, run.saved, run.best) == ((), 0, 0.9)


def test_a_late_riser_is_lost() -> None:
    late = Curve(1, (0.5,) * (EPOCHS - 1) + (0.9,), 0.9)
    run = replay([*flat([0.7]), late], MEDIAN)
    assert run.pruned == (1,)
    assert run.lost == pytest.approx(0.2)


def test_at_its_last_epoch_no_trial_is_stopped() -> None:
    falling = Curve(1, (0.8,) * (EPOCHS - 1) + (0.1,), 0.1)
    always = MEDIAN | {"n_warmup_steps": EPOCHS - 1}
    assert replay([*flat([0.9]), falling], always).pruned == ()


def test_workers_that_run_at_a_time_do_not_know_of_each_others_end() -> None:
    run = replay(flat([0.9, 0.8, 0.7, 0.6]), MEDIAN, n_workers=2)
    assert run.pruned == (2, 3)
    assert run.epochs == 2 * EPOCHS + 2 * 3


@pytest.mark.parametrize("settings", [MEDIAN, HYPERBAND])
def test_it_prunes_what_optuna_prunes(settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    curves = [
        Curve(n, tuple(rng.normal(0.7, 0.1) + 0.02 * np.arange(EPOCHS)), float(rng.uniform()))
        for n in range(25)
    ]

    def objective(trial: optuna.Trial) -> float:
        curve = curves[trial.number]
        for step, value in enumerate(curve.reports):
            trial.report(value, step)
            if step + 1 < EPOCHS and trial.should_prune():
                raise optuna.TrialPruned
        return curve.value

    study = optuna.create_study(
        direction="maximize", pruner=instantiate(settings), study_name="replay 3"
    )
    study.optimize(objective, n_trials=25)
    run = replay(curves, settings, seed=3)
    ended = study.get_trials(states=(optuna.trial.TrialState.PRUNED,))
    assert run.pruned == tuple(trial.number for trial in ended)
    assert 0 < len(run.pruned) < 25
    assert run.best == study.best_value
    assert run.epochs == sum(len(trial.intermediate_values) for trial in study.trials)
