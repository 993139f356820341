"""`covidlit train` and `python train.py`: one run, or with -m several, from a configuration."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

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


def main() -> None:
    """Compose the configuration of the command line and run it.

    A user's error exits with 2, a run that was stopped with 128 and the number of the signal.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    let_waiting_threads_sleep()
    collect_less()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors reach us instead of Hydra's printer
    entry = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="train")(run)
    try:
        check_address_space()
        _check_run_name(sys.argv[1:])  # Hydra makes the run's folder by it before anything is read
        entry()
    except KeyboardInterrupt as stop:
        _end_stopped(stop)
    except CovidlitError as error:
        _stop(error)
    except (HydraException, OmegaConfBaseException) as error:
        _stop(translate(error, sys.argv[1:]))
    except ProcessError as error:
        sys.exit(f"\n{error}")
    except Exception as error:
        if (trouble := machine_trouble(error)) is None:
            raise
        _stop(trouble)


def _check_run_name(overrides: Sequence[str]) -> None:
    for override in overrides:
        setting, _, names = override.partition("=")
        if setting.lstrip("+") == "name" and "$" not in names:  # an interpolation comes later
            for name in names.split(","):
                check_name(name.strip("'\" "), "name", ConfigError)


def _stop(error: CovidlitError) -> NoReturn:
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
    from omegaconf import OmegaConf

    hydra_config = HydraConfig.get()
    run_dir = Path(hydra_config.runtime.output_dir)
    _check_mode(config, hydra_config)
    resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(resolved, dict)
    plain = absolute_paths(
        {str(key): value for key, value in resolved.items()}, hydra_config.runtime.cwd
    )
    trial = current_trial(hydra_config)
    with end_with_way_on(run_dir):
        if trial is None:
            return whole_run(plain, run_dir)
        from covidlit.sweep.trial_run import run_trial

        return run_trial(plain, run_dir, trial)


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
    if str(hydra_config.mode).endswith("MULTIRUN"):
        refuse_several_devices(config.trainer)
    elif (sweep := hydra_config.runtime.choices.get("sweep")) not in (None, "null"):
        raise ConfigError(
            "a sweep needs -m; without it this would be one whole run.",
            where=f"sweep={sweep}",
            fix=f"give `python train.py -m sweep={sweep} ...`, or leave it out.",
        )
