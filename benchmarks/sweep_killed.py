"""Kill a sweep at random moments, give the same command again until its total, and check the study.

python benchmarks/sweep_killed.py
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
from record import write_results

from covidlit.errors import ConfigError
from covidlit.sweep.existing_study import existing_study

ROOT = Path(__file__).parents[1]
COMMAND = "python benchmarks/sweep_killed.py"
N_KILLS, N_TRIALS, TRIAL_S, SEED = 10, 80, 0.4, 0
_MARK = "COVIDLIT_SWEEP_KILLED"
"""In the environment of a sweep and of all that it starts, so that orphans are found."""


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The command, always the same."""
    command = [
        sys.executable, str(ROOT / "tests" / "sweep" / "app.py"), "-m",
        "x=interval(0,1)", f"seconds={TRIAL_S}", "steps=3", f"hydra.sweep.dir={folder}",
        f"hydra.sweeper.n_trials={N_TRIALS}",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), _MARK: str(folder)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def study_of(folder: Path) -> optuna.Study | None:
    """The study as it stands; None before it is made."""
    try:
        return existing_study(folder)
    except ConfigError:
        return None


def values_of(folder: Path) -> dict[int, float | None]:
    """Number and value of the trials that are finished or pruned."""
    done = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    study = study_of(folder)
    return {} if study is None else {t.number: t.value for t in study.get_trials(states=done)}


def n_trials_of(folder: Path) -> int:
    """Trials that were begun."""
    study = study_of(folder)
    return 0 if study is None else len(study.trials)


def orphans(folder: Path) -> list[int]:
    """Processes that the sweep has started and that still live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{_MARK}={folder}".encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:  # it has just ended
            continue
    return found


def main() -> None:
    """Kill, resume, check and write `results/sweep_killed.json`."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    moments = random.Random(SEED)
    lost = longest = 0
    with tempfile.TemporaryDirectory() as scratch:
        whole, killed = Path(scratch) / "whole", Path(scratch) / "killed"
        if start(whole).wait():
            raise SystemExit("the uninterrupted sweep failed")
        before: dict[int, float | None] = {}
        for kill in range(N_KILLS):
            process, n_trials = start(killed), n_trials_of(killed)
            while kill % 2 and process.poll() is None and n_trials_of(killed) == n_trials:
                time.sleep(0.1)  # every other kill meets trials, not the start of the command
            time.sleep(moments.uniform(0.5, 9))
            if process.poll() is not None:
                raise SystemExit(f"the sweep was over before kill {kill + 1}: raise N_TRIALS")
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(1)
            longest = max(longest, len(orphans(killed)))
            after = values_of(killed)
            lost += sum(after.get(number) != value for number, value in before.items())
            before = after
            print(f"kill {kill + 1}: {len(after)} finished or pruned")
        if start(killed).wait():
            raise SystemExit("the last command failed")
        after = values_of(killed)
        lost += sum(after.get(number) != value for number, value in before.items())
        study, uninterrupted = study_of(killed), study_of(whole)
        assert study is not None
        assert uninterrupted is not None
        proposed = [study.trials[number].params["x"] for number in after]
        states = [trial.state.name for trial in study.trials]
        retried = sum("retry_of" in trial.user_attrs for trial in study.trials)
        other = set(proposed) ^ {t.params["x"] for t in uninterrupted.trials}
    figures = [
        figure(f"trials finished or pruned after {N_KILLS} kills", len(after), f"== {N_TRIALS}"),
        figure("parameters proposed twice among them", len(after) - len(set(proposed)), "== 0"),
        figure("finished values lost or changed, best value included", lost, "== 0"),
        figure("processes left 1 s after a kill, the most", longest, "== 0"),
        figure("trials left running", states.count("RUNNING"), "== 0"),
        figure("proposals that differ from an uninterrupted sweep's", len(other), "== 0"),
        figure("trials that were killed and tried again", retried, None),
    ]
    print(write_results("sweep_killed", figures))


def figure(name: str, value: int, target: str | None) -> dict[str, Any]:
    """One line of the results."""
    print(f"{name}: {value}")
    return {
        "figure": name, "value": value, "unit": "count", "target": target, "peer": None,
        "command": COMMAND,
    }  # fmt: skip


if __name__ == "__main__":
    main()
