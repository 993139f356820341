"""Run a sweep by `train.py -m` and keep what its study holds."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial
from replay import Curve
from results import FIRST_NETWORK, ROOT, RUNS, environment

from covidlit.files import write_json
from covidlit.sweep.existing_study import existing_study
from covidlit.sweep.summary import epochs_of, outcome, summarise
from covidlit.sweep.validation_noise import validation_noise


def sweep(name: str, overrides: Sequence[str], kept: Path) -> dict[str, Any]:
    """Run a sweep to its end, unless it is kept already; the same call goes on with one.

    Args:
        name: of the study and its folder, below `runs/experiments/sweep_csacnet`.
        overrides: of `train.py -m`.
        kept: the JSON file that keeps it.

    Returns:
        The content of the file: environment, command, seconds (of the clock, all starts together),
        noise of the best trial, and the trials.

    Raises:
        SystemExit: the sweep failed, or the file keeps one of another command.
    """
    folder = (RUNS / "sweep_csacnet" / name).relative_to(ROOT)
    own = [f"hydra.sweeper.study_name=sweep_csacnet_{name}", f"hydra.sweep.dir={folder}"]
    words = ["train.py", "-m", *overrides, *own]
    command = shlex.join(["python", *words])
    if kept.is_file():
        record: dict[str, Any] = json.loads(kept.read_text())
        # The first network's settings were the defaults when the first sweeps were made.
        earlier = shlex.join(["python", *(word for word in words if word not in FIRST_NETWORK)])
        if record["command"] not in (command, earlier):
            sys.exit(f"{kept} keeps a sweep of another command: delete it to sweep again.")
        return record
    spent = ROOT / folder / "spent.json"
    started = json.loads(spent.read_text()) if spent.is_file() else {"seconds": 0.0, "starts": 0}
    begin = time.monotonic()
    print(f"{command}\n")
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    seconds = round(started["seconds"] + time.monotonic() - begin, 1)
    write_json(spent, {"seconds": seconds, "starts": started["starts"] + 1})
    if done.returncode:
        sys.exit("the sweep failed; the same command goes on with it.")
    record = {
        "environment": environment(),
        "command": command,
        **json.loads(spent.read_text()),
        **content(existing_study(ROOT / folder), ROOT / folder),
    }
    write_json(kept, record)
    return record


def content(study: optuna.Study, folder: Path) -> dict[str, Any]:
    """What is kept of a study: its trials, and the noise of the best one's value."""
    summary = summarise(study)
    noise = None if summary.best is None else validation_noise(summary.best, folder)
    return {
        "n_validation": None if noise is None else noise.n_scans,
        "standard_error": None if noise is None else noise.standard_error,
        "trials": [_kept(trial) for trial in summary.trials],
    }


def _kept(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "outcome": outcome(trial),
        "value": trial.value if outcome(trial) == "finished" else None,
        "params": trial.params,
        "epochs": epochs_of(trial),
        "seconds": trial.user_attrs.get("seconds"),
        "reports": [value for _, value in sorted(trial.intermediate_values.items())],
        "reason": trial.user_attrs.get("reason"),
    }


def curves(record: dict[str, Any]) -> list[Curve]:
    """The learning curves of the trials that finished."""
    return [
        Curve(trial["number"], tuple(trial["reports"]), trial["value"])
        for trial in record["trials"]
        if trial["outcome"] == "finished"
    ]


def study_of(record: dict[str, Any]) -> optuna.Study:
    """The finished and the pruned trials again, as a study in memory, for figures."""
    states = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    study = optuna.create_study(direction="maximize")
    for trial in record["trials"]:
        if (state := states.get(trial["outcome"])) is not None:
            study.add_trial(
                create_trial(
                    state=state,
                    value=trial["value"],
                    intermediate_values=dict(enumerate(trial["reports"])),
                )
            )
    return study
