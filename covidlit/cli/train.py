"""`covidlit train` and `python train.py`: one run, or with -m several, from a configuration."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from covidlit.errors import ConfigError, CovidlitError, machine_trouble
from covidlit.names import check_name
from covidlit.process import check_address_space, collect_less, let_waiting_threads_sleep
from covidlit.runs.processes import ProcessError, process_rank
from covidlit.runs.stopped import INTERRUPTED, RunStopped, end_with_way_on
from covidlit.settings.errors import translate
from covidlit.settings.paths import absolute_paths
from covidlit.settings.tree import config_dir
from covidlit.sweep.trial import current_trial
from covidlit.sweep.trial_checks import refuse_several_devices

if TYPE_CHECKING:
    from omegaconf import DictConfig


log = logging.getLogger(__name__)


def main() -> None:
    """Compose the configuration of the command line and run it.

    A user's error exits with 2, a run that was stopped with 128 and the number of the signal.
    """
    import hydra

    let_waiting_threads_sleep()
    collect_less()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors reach us instead of Hydra's printer
    refusals: list[_JobRefusal] = []
    task = _collecting(refusals) if {"-m", "--multirun"} & {*sys.argv} else _run_alone
    entry = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="train")(task)
    try:
        check_address_space()
        _check_run_name(sys.argv[1:])  # Hydra makes the run's folder by it before anything is read
        entry()
    except _Refused as refused:
        _stop(refused.error)
    except KeyboardInterrupt as stop:
        _end_stopped(stop)
    except ProcessError as error:
        sys.exit(f"\n{error}")
    except Exception as error:
        if (said := _as_said(error)) is None:
            raise
        _stop(*(_told_apart(refusals) or [str(said)]))


class _JobRefusal(NamedTuple):
    """A user's error that ended one of several jobs, and the job's own overrides."""

    overrides: tuple[str, ...]
    error: CovidlitError


def _collecting(refusals: list[_JobRefusal]) -> Callable[[DictConfig], float | None]:
    """`run` that notes the errors of jobs: Hydra goes on with the others, and raises the first.

    Those of trials are told by the sweep. Jobs in other processes are not noted.
    """

    @wraps(run)
    def noting(config: DictConfig) -> float | None:
        from hydra.core.hydra_config import HydraConfig

        try:
            return run(config)
        except Exception as error:
            said, hydra_config = _as_said(error), HydraConfig.get()
            if said is not None and current_trial(hydra_config) is None:
                refusals.append(_JobRefusal(tuple(hydra_config.overrides.task), said))
            raise

    return noting


def _told_apart(refusals: Sequence[_JobRefusal]) -> list[str]:
    """Different errors of several jobs, each with the overrides of its jobs; else nothing."""
    jobs: dict[str, list[str]] = {}
    for overrides, error in refusals:
        common = set.intersection(*(set(other.overrides) for other in refusals))
        own = " ".join(each for each in overrides if each not in common)
        jobs.setdefault(str(error), []).append(own)
    if len(jobs) < 2:
        return []
    return [f"{' and '.join(names)}: {error}" for error, names in jobs.items()]


class _Refused(BaseException):
    """The user's error that ends the only run of a command.

    Not an Exception, because Hydra announces each that leaves a job, with all its overrides, before
    the error itself can be said. Of several jobs (-m) that tells which it was.
    """

    def __init__(self, error: CovidlitError) -> None:
        super().__init__(error)
        self.error = error


def _as_said(error: Exception) -> CovidlitError | None:
    """The user's error that an exception is, or None for one that nobody expected."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, CovidlitError):
        return _for_one_model(error, sys.argv[1:])
    if isinstance(error, HydraException | OmegaConfBaseException):
        return translate(error, sys.argv[1:])
    return machine_trouble(error)


def _for_one_model(error: CovidlitError, overrides: Sequence[str]) -> CovidlitError:
    """An error whose mend is a setting of one model, where several are trained by one command."""
    models = next((each for each in overrides if each.startswith("model=") and "," in each), None)
    if models is None or "model." not in (error.fix or ""):
        return error
    said = copy(error)
    said.fix = (
        f"{error.fix} Every model of {models} would get that setting: give this model a command of "
        "its own."
    )
    return said


def _check_run_name(overrides: Sequence[str]) -> None:
    for override in overrides:
        setting, _, names = override.partition("=")
        if setting.lstrip("+") == "name" and "$" not in names:  # an interpolation comes later
            for name in names.split(","):
                check_name(name.strip("'\" "), "name", ConfigError)


def _stop(*errors: object) -> NoReturn:
    for error in errors:
        sys.stderr.write(f"\nerror: {error}\n")
    sys.exit(2)


def _end_stopped(stop: KeyboardInterrupt) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # pressed again, it would only leave a traceback
    message = str(stop) or "The run was stopped (Ctrl-C) before it began."
    if process_rank() == 0:
        sys.stderr.write(f"\n{message}\n")
    sys.exit(stop.exit_code if isinstance(stop, RunStopped) else INTERRUPTED)


def run(config: DictConfig) -> float | None:
    """Cohort, split, cache, training, predictions, report, in the run folder that Hydra made.

    A trial of a sweep ends before the test part, see `covidlit.sweep.trial_run`. By this function's
    name the sweeper knows covidlit's own trials, see `covidlit.sweep.job.Application`.

    Args:
        config: the composed `conf/train.yaml`.

    Returns:
        The AUC on the validation part, or None where it is undefined; sweeps maximise it.
    """
    from hydra.core.hydra_config import HydraConfig

    with _logged_end():
        return _run(config, HydraConfig.get())


def _run(config: DictConfig, hydra_config: Any) -> float | None:
    from omegaconf import OmegaConf

    run_dir = Path(hydra_config.runtime.output_dir)
    _check_mode(config, hydra_config)
    resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(resolved, dict)
    plain = absolute_paths(
        {str(key): value for key, value in resolved.items()}, hydra_config.runtime.cwd
    )
    trial = current_trial(hydra_config)
    if trial is None and _is_multirun(hydra_config) and _is_finished(run_dir, plain):
        log.info("%s was finished before; it is taken as it is.", run_dir)
        return None
    with end_with_way_on(run_dir):
        if trial is None:
            return whole_run(plain, run_dir)
        from covidlit.sweep.trial_run import run_trial

        return run_trial(plain, run_dir, trial)


@wraps(run)
def _run_alone(config: DictConfig) -> float | None:
    try:
        return run(config)
    except ProcessError:
        raise
    except Exception as error:
        if (said := _as_said(error)) is None:
            raise
        raise _Refused(said) from error


@contextmanager
def _logged_end() -> Iterator[None]:
    """Leave in the run's `train.log`, as its last line, why the run ended early."""
    try:
        yield
    except BaseException as error:
        said = _as_said(error) if isinstance(error, Exception) else None
        if process_rank() == 0:
            from covidlit.runs.log import log_end

            log_end(said or error)
        raise


def whole_run(config: dict[str, Any], run_dir: Path) -> float | None:
    """Train and evaluate, with the cards where they are asked for.

    Args:
        config: the resolved tree of `conf/train.yaml` as plain types.
        run_dir: the run's folder.

    Returns:
        See `run`.
    """
    from covidlit.runs.cross_validation import cross_validate, is_cross_validation
    from covidlit.runs.steps import train_and_evaluate

    run_all = cross_validate if is_cross_validation(config) else train_and_evaluate
    value = run_all(config, run_dir)
    if config.get("cards") and process_rank() == 0:
        from covidlit.cards import write_cards

        write_cards(run_dir)
    return value


def _check_mode(config: DictConfig, hydra_config: Any) -> None:
    """Refuse several devices under -m, and a sweep without it."""
    if _is_multirun(hydra_config):
        refuse_several_devices(config.trainer)
    elif (sweep := hydra_config.runtime.choices.get("sweep")) not in (None, "null"):
        raise ConfigError(
            "a sweep needs -m; without it this would be one whole run.",
            where=f"sweep={sweep}",
            fix=f"give `python train.py -m sweep={sweep} ...`, or leave it out.",
        )


def _is_multirun(hydra_config: Any) -> bool:
    return str(hydra_config.mode).endswith("MULTIRUN")


def _is_finished(run_dir: Path, config: dict[str, Any]) -> bool:
    from covidlit.runs.run_folder import is_finished

    return is_finished(run_dir, config)
