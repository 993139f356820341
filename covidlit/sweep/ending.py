"""What a sweep says while it runs and when it ends."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from covidlit.sweep.trial_records import KILLED, NOT_NEEDED, STOPPED

log = logging.getLogger(__name__)


def show_progress(study: optuna.Study, running: int) -> None:
    """THE SEAM of the live display: called whenever a trial has begun or ended.

    Args:
        study: as it stands.
        running: trials that this process runs.
    """
    log.info("%s, %d running here", counts(study.get_trials(deepcopy=False)), running)


def finish(study: optuna.Study, sweep_dir: Path) -> None:
    """THE SEAM of what is left for the user: page, table and the best experiment file.

    Called at every end of a sweep, also where it was stopped.

    Args:
        study: as it stands.
        sweep_dir: the sweep's folder.
    """
    log.info("%s", summary(study, sweep_dir))


def counts(trials: Sequence[FrozenTrial]) -> str:
    """Finished, pruned and failed trials in words."""
    states = Counter(trial.state for trial in trials)
    failures = sum(map(is_failure, trials))
    return (
        f"{states[TrialState.COMPLETE]} finished, {states[TrialState.PRUNED]} pruned, "
        f"{failures} failed"
    )


def is_failure(trial: FrozenTrial) -> bool:
    """Whether a trial's own job failed, other than by the end of its sweeper."""
    return trial.state == TrialState.FAIL and not was_stopped(trial.user_attrs.get("reason"))


def was_stopped(reason: str | None) -> bool:
    """Whether a failed trial's reason is the end of its sweeper, not the trial itself."""
    return reason in (NOT_NEEDED, KILLED, STOPPED)


def summary(study: optuna.Study, sweep_dir: Path) -> str:
    """Counts, and the best trial with its value, folder and parameters."""
    trials = study.get_trials(deepcopy=False)
    text = f"Sweep {study.study_name}: {counts(trials)}."
    if not any(trial.state == TrialState.COMPLETE for trial in trials):
        return f"{text} No trial has a value."
    best = study.best_trial
    folder = sweep_dir / str(best.user_attrs.get("folder", best.number))
    drawn = " ".join(best.user_attrs.get("overrides", ()))
    return f"{text} Best value {best.value:.6g}: trial {best.number}, {drawn}, in {folder}."


def trials_left(study: optuna.Study, n_trials: int) -> int:
    """How many trials are missing from the total."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return max(0, n_trials - len(done))


def why_incomplete(study: optuna.Study, n_trials: int) -> str | None:
    """Why a sweep that has nothing left to do lacks trials; None where it lacks none."""
    left = trials_left(study, n_trials)
    if not left:
        return None
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    if running:
        hosts = sorted({str(t.user_attrs.get("owner", {}).get("host")) for t in running})
        return (
            f"{len(running)} trials still run in other processes (on {', '.join(hosts)}); give the "
            "same command again should they not finish."
        )
    return f"The grid has no further points, so n_trials={n_trials} is not reached."


def failure_reasons(reasons: Sequence[str], most: int = 3) -> str:
    """The most frequent reasons of failed trials, in words."""
    return "; ".join(
        f"{reason.rstrip('.')}{f' ({n} times)' if n > 1 else ''}"
        for reason, n in Counter(reasons).most_common(most)
    )
