"""One command of a sweep, from its settings to its last message."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from omegaconf import OmegaConf
from optuna.exceptions import StorageInternalError

from covidlit.counted import counted
from covidlit.errors import ConfigError, CovidlitError, TrainingError
from covidlit.files import write_text
from covidlit.runs.outcomes import outcome_of
from covidlit.runs.stopped import INTERRUPTED, RunStopped
from covidlit.sweep.batches import Batches
from covidlit.sweep.ending import finish, summary, trials_left, why_incomplete
from covidlit.sweep.executors import Executor
from covidlit.sweep.heartbeat import Heartbeat
from covidlit.sweep.job import Application, job_folder
from covidlit.sweep.journal import alone
from covidlit.sweep.loop import run_trials, stop_trials
from covidlit.sweep.progress import SweepProgress
from covidlit.sweep.samplers import is_grid, make_pruner, make_sampler
from covidlit.sweep.settings import SweepSettings
from covidlit.sweep.space import SearchSpace
from covidlit.sweep.space_reading import read_space
from covidlit.sweep.stop_signal import StopSignal
from covidlit.sweep.storage import open_storage
from covidlit.sweep.study import open_study
from covidlit.sweep.trial_checks import (
    check_comparable,
    check_direction,
    check_trial,
    why_nothing_is_pruned,
    why_nothing_is_reported,
)
from covidlit.sweep.trial_queue import TrialQueue
from covidlit.sweep.trial_records import TrialRecords
from covidlit.sweep.workers import WorkerPool

if TYPE_CHECKING:
    from hydra.plugins.launcher import Launcher
    from optuna.pruners import BasePruner

    from covidlit.runs.outcomes.outcome import Outcome

log = logging.getLogger(__name__)


def run_sweep(
    settings: SweepSettings,
    application: Application,
    launcher: Launcher | None,
    arguments: Sequence[str],
) -> None:
    """Run a sweep to its total, or go on with it.

    Args:
        settings: of the sweep.
        application: the Hydra application and the command's configuration.
        launcher: runs the jobs in batches; None: own worker processes do.
        arguments: the command's overrides, without those of `hydra`.

    Raises:
        ConfigError: settings, search space or study do not fit.
        TrainingError: too many trials failed.
        RunStopped: by Ctrl-C or SIGTERM; the trials that ran are tried again next time.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings.check(own_workers=launcher is None)
    space = read_space(
        arguments,
        settings.params,
        settings.conditional,
        choices=dict(OmegaConf.select(application.config, "hydra.runtime.choices") or {}),
        loader=application.context.config_loader,
    )
    if is_grid(settings.sampler):
        next(space.grid())  # refuses intervals
    make_sampler(settings.sampler, 0)  # refuses arguments that it does not take
    pruner = make_pruner(settings.pruner)
    sweep_dir = _check_composition(space, application, settings, pruner)
    with alone(sweep_dir):  # of two first commands, one makes the study
        storage = open_storage(settings.storage, sweep_dir)
        study = open_study(
            storage, settings.study_name, space, settings.direction, settings.folds, sweep_dir
        )
        write_text(sweep_dir / "multirun.yaml", OmegaConf.to_yaml(application.config))
    with StopSignal() as stop, Heartbeat(storage) as heartbeat:
        records = TrialRecords(settings.study_name, storage, heartbeat, sweep_dir)
        queue = TrialQueue(records, space, settings.sampler, pruner, settings.n_trials)
        if not trials_left(study, settings.n_trials):
            log.info("The study has its %s already.", counted(settings.n_trials, "trial"))
        executor = _executor(settings, application, launcher, sweep_dir, stop)
        try:
            with SweepProgress(settings.n_trials) as progress:
                run_trials(settings, space.fixed, records, queue, executor, study, progress, stop)
        except RunStopped as stopped:
            n_stopped = stop_trials(records, executor)
            finish(study, sweep_dir, application)
            raise _with_way_on(stopped, study, sweep_dir, n_stopped) from None
        except TrainingError:
            stop_trials(records, executor)
            finish(study, sweep_dir, application)
            raise
        except StorageInternalError as error:
            executor.close()
            raise CovidlitError(
                f"the study cannot be read or written: {error.__cause__ or error}",
                where=sweep_dir,
                fix="see whether its disk is full or its database away, and give the same "
                "command again.",
            ) from error
        except BaseException:
            stop_trials(records, executor)
            raise
        executor.close()
        finish(study, sweep_dir, application)
        if (reason := why_incomplete(study, settings.n_trials)) is not None:
            log.warning(reason)


def _outcome_of(config: Any) -> Outcome:
    """What a trial of this configuration is after."""
    from covidlit.runs.steps import build_runner  # imports torch

    return outcome_of(build_runner({"model": OmegaConf.to_container(config.model, resolve=True)}))


def _check_composition(
    space: SearchSpace, application: Application, settings: SweepSettings, pruner: BasePruner
) -> Path:
    """Compose what trials will compose, so that a mistyped name ends the command at once.

    Returns:
        The sweep's folder.

    Raises:
        HydraException: a job cannot be composed.
        ConfigError: trials would share a folder, or runs of `train.py` cannot be such trials.
    """
    if application.is_covidlit:
        check_comparable(space.parameters())
    unreported: str | None = None
    unpruned: list[str | None] = []
    for overrides in space.examples():
        config = application.compose(0, [*space.fixed, *overrides, "hydra.sweeper.trial=0"])
        if application.is_covidlit:
            check_trial(config)
            check_direction(settings.direction, _outcome_of(config))
            unreported = unreported or why_nothing_is_reported(config, settings.folds)
            unpruned.append(why_nothing_is_pruned(config, settings))
    if unreported is not None and not isinstance(pruner, optuna.pruners.NopPruner):
        log.warning("Nothing will be pruned and no learning curve be shown: %s.", unreported)
    elif unpruned and all(unpruned):
        log.warning("Nothing will be pruned: %s.", unpruned[0])
    folder, first = job_folder(config)
    config = application.compose(1, [*space.fixed, *overrides, "hydra.sweeper.trial=1"])
    _, second = job_folder(config)
    if first == second:
        raise ConfigError(
            f"all trials would write into {first}.",
            where="hydra.sweep.subdir",
            fix="set it to ${hydra.sweeper.trial}, or to something with it.",
        )
    return folder


def _executor(
    settings: SweepSettings,
    application: Application,
    launcher: Launcher | None,
    sweep_dir: Path,
    stop: StopSignal,
) -> Executor:
    if launcher is not None:
        return Batches(application, launcher, settings.n_jobs, stop)
    return WorkerPool(
        application,
        settings.n_jobs,
        sweep_dir / "workers",
        f"{socket.gethostname()}-{os.getpid()}",
        stop.wakeup,
        settings.gpus,
        settings.trial_timeout,
    )


def _with_way_on(
    stopped: RunStopped, study: optuna.Study, sweep_dir: Path, n_stopped: int
) -> RunStopped:
    name = "Ctrl-C" if stopped.exit_code == INTERRUPTED else "SIGTERM"
    again = f" {n_stopped} of its trials ran and will be tried again." if n_stopped else ""
    return RunStopped(
        f"The sweep was stopped ({name}).{again} {summary(study, sweep_dir)} "
        "Give the same command to go on.",
        stopped.exit_code,
    )
