"""Ask, run, tell, until the study has all of its trials."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import optuna

from covidlit.counted import counted
from covidlit.errors import TrainingError
from covidlit.sweep.ending import failure_reasons
from covidlit.sweep.executors import Ended, Executor, Job
from covidlit.sweep.progress import SweepProgress
from covidlit.sweep.settings import SweepSettings
from covidlit.sweep.stop_signal import StopSignal
from covidlit.sweep.summary import STOPPED
from covidlit.sweep.trial_queue import TrialQueue
from covidlit.sweep.trial_records import TrialRecords

log = logging.getLogger(__name__)


def run_trials(
    settings: SweepSettings,
    fixed: Sequence[str],
    records: TrialRecords,
    queue: TrialQueue,
    executor: Executor,
    study: optuna.Study,
    progress: SweepProgress,
    stop: StopSignal,
) -> None:
    """Run trials until none is needed any more.

    Args:
        settings: of the sweep.
        fixed: the overrides that all trials share.
        records: of the trials.
        queue: draws them.
        executor: runs the jobs.
        study: as `progress` shows it.
        progress: the display, open.
        stop: whether to stop.

    Raises:
        TrainingError: more trials failed in this start than `max_failure_rate` allows.
        RunStopped: the sweep was asked to stop.
    """
    reasons: list[str] = []
    waited = False
    while True:
        if lost := records.retry_lost():
            log.info("Trials of a process that is gone are tried again: %s.", lost)
        stop.check()
        # A trial that is tried again comes before new ones, which are drawn by its outcome.
        if not executor.running() and (undecided := records.undecided()):
            if not waited:
                log.info("Waiting for signs of life of trials that began before: %s.", undecided)
            waited = True
            stop.wait(records.look_interval)
            continue
        while executor.free() and (asked := queue.next()) is not None:
            overrides = [*fixed, *asked.overrides, f"hydra.sweeper.trial={asked.number}"]
            executor.submit(Job(asked, overrides))
            progress.update(study, len(executor.running()))
            stop.check()
        if not executor.running():
            return
        for event in executor.wait(records.look_interval):
            if not isinstance(event, Ended):
                records.started(event.job.asked, event.folder)
                continue
            records.tell(event.job.asked, event.outcome)
            progress.update(study, len(executor.running()))
            if event.outcome.state == "failed":
                reasons.append(str(event.outcome.reason))
        if len(reasons) > settings.max_failure_rate * settings.n_trials:
            raise TrainingError(
                f"{counted(len(reasons), 'trial')} failed, more than the share of n_trials="
                f"{settings.n_trials} that hydra.sweeper.max_failure_rate="
                f"{settings.max_failure_rate:g} allows: {failure_reasons(reasons)}.",
                where=f"sweep {settings.study_name}",
                fix="mend the cause and give the same command again (other settings need another "
                "hydra.sweeper.study_name), or allow more failures.",
            )


def stop_trials(records: TrialRecords, executor: Executor) -> int:
    """End the jobs that run, to be tried again by the next command; returns how many."""
    jobs = executor.running()
    executor.close()
    for job in jobs:
        records.give_up(job.asked, STOPPED)
    return len(jobs)
