"""What a sweep says and leaves when it ends."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.trial import TrialState

from covidlit.counted import counted
from covidlit.errors import CovidlitError
from covidlit.sweep.best import best_command, write_best
from covidlit.sweep.job import Application
from covidlit.sweep.page import write_page
from covidlit.sweep.storage import host_of
from covidlit.sweep.summary import summarise
from covidlit.sweep.table import print_table

log = logging.getLogger(__name__)


def finish(study: optuna.Study, sweep_dir: Path, application: Application) -> None:
    """Print the table, write the page and the experiment file of the best trial.

    Called at every end of a sweep, also where it was stopped. What cannot be written is said and
    does not hide how the sweep ended.

    Args:
        study: as it stands.
        sweep_dir: the sweep's folder.
        application: that the trials belong to; an experiment file is written for covidlit's own.
    """
    print_table(study)
    try:
        log.info("Page: %s", write_page(study, sweep_dir))
        if application.is_covidlit and write_best(
            study, sweep_dir, search_path=application.search_path
        ):
            log.info("Train the best: %s", best_command(study, sweep_dir))
    except (CovidlitError, OSError) as error:
        log.warning("%s", error)


def summary(study: optuna.Study, sweep_dir: Path) -> str:
    """Counts, and the best trial with its value and folder."""
    found = summarise(study)
    text = f"Sweep {study.study_name}: {found.sentence()}."
    if (best := found.best) is None:
        return text
    folder = sweep_dir / str(best.user_attrs.get("folder", best.number))
    return f"{text} Best value {best.value:.6g}: trial {best.number}, in {folder}."


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
        hosts = sorted({str(host_of(trial)) for trial in running})
        return (
            f"{counted(len(running), 'trial')} still running in other processes (on "
            f"{', '.join(hosts)}); give the same command again should they not finish."
        )
    return f"The grid has no further points, so n_trials={n_trials} is not reached."


def failure_reasons(reasons: Sequence[str], most: int = 3) -> str:
    """The most frequent reasons of failed trials, in words."""
    return "; ".join(
        f"{reason.rstrip('.')}{f' ({n} times)' if n > 1 else ''}"
        for reason, n in Counter(reasons).most_common(most)
    )
