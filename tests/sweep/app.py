"""A small Hydra application with a cheap task, which the tests of sweeps run."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import hydra
from omegaconf import DictConfig

from covidlit.errors import CovidlitError
from covidlit.runs.stopped import RunStopped
from covidlit.sweep.heartbeat import Heartbeat

HOLD_FROM = "COVIDLIT_TEST_HOLD_FROM"
"""In the environment: the number of the first trial that never ends."""

Heartbeat.interval = 0.5  # so that nobody waits long for the trials of a sweep that was killed


def report(value: float, step: int) -> None:
    """Report an intermediate value to the study and stop where its pruner says so."""
    import optuna
    from hydra.core.hydra_config import HydraConfig
    from hydra.utils import instantiate

    from covidlit.sweep.storage import open_storage

    node = HydraConfig.get().sweeper
    study = optuna.load_study(
        study_name=node.study_name,
        storage=open_storage(node.storage, Path(HydraConfig.get().sweep.dir)),
        sampler=optuna.samplers.RandomSampler(),
        pruner=instantiate(node.pruner),
    )
    (found,) = (trial for trial in study.get_trials(deepcopy=False) if trial.number == node.trial)
    trial = optuna.trial.Trial(study, found._trial_id)
    trial.report(value, step)
    if trial.should_prune():
        raise optuna.TrialPruned("too low")


def score(config: DictConfig) -> float | None:
    """The objective: best where x is 0.3, with the faults that a trial can have."""
    from hydra.core.hydra_config import HydraConfig

    value = 1 - (config.x - 0.3) ** 2
    held = int(HydraConfig.get().sweeper.trial) >= int(os.environ.get(HOLD_FROM, "1000"))
    time.sleep(10_000 if held or config.fault == "slow" else config.seconds)
    for step in range(config.steps):
        report(-1.0 if config.fault == "pruned" else value, step)
    if config.fault == "error":
        raise RuntimeError("out of beans")
    if config.fault == "infinite":
        return float("inf")
    if config.fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if config.fault == "depth":
        return float(config.model.get("depth", 0))
    if config.fault == "gpu":
        return float(os.environ["CUDA_VISIBLE_DEVICES"])
    return None if config.fault == "none" else float(value)


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> float | None:
    """Score the configuration."""
    return score(config)


if __name__ == "__main__":
    try:
        main()
    except CovidlitError as error:
        sys.exit(f"error: {error}")
    except RunStopped as stop:
        sys.stderr.write(f"{stop}\n")
        sys.exit(stop.exit_code)
