"""A whole sweep by its command, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

pytestmark = pytest.mark.slow

APP = Path(__file__).parent / "app.py"
ROOT = APP.parents[2]
MARK = "COVIDLIT_TEST_SWEEP"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts the command with more arguments, always in the same folder."""

    def started(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(APP), "-m", f"hydra.sweep.dir={tmp_path / 's'}", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), MARK: str(tmp_path)}
        return subprocess.Popen(
            command, env=environment, cwd=tmp_path, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
            # A suite in the background would hand on that it ignores Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    return started


def trials(tmp_path: Path) -> list[FrozenTrial]:
    if not (tmp_path / "s" / "study.db").exists():
        return []
    try:
        study = optuna.load_study(study_name="sweep", storage=f"sqlite:///{tmp_path}/s/study.db")
    except (KeyError, optuna.exceptions.StorageInternalError):  # not made yet
        return []
    return study.trials


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


def alive(tmp_path: Path) -> list[str]:
    """Processes that a sweep of this test has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{MARK}={tmp_path}".encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
        except OSError:  # it has just ended
            continue
    return found


def test_killed_at_any_moment_it_ends_with_exactly_its_total(start: Start, tmp_path: Path) -> None:
    arguments = ["x=interval(0,1)", "seconds=0.2", "hydra.sweeper.n_trials=6"]
    best: list[float] = []
    for n_begun in (1, 4):  # killed while that trial runs, or just before
        process = start(*arguments)
        wait_for(lambda n=n_begun: len(trials(tmp_path)) >= n)
        process.kill()
        process.communicate()
        wait_for(lambda: not alive(tmp_path), 5)
        best += [t.value for t in trials(tmp_path) if t.value is not None]
    both = [start(*arguments), start(*arguments)]  # and then by two commands at once
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    done = [t for t in trials(tmp_path) if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(done) == 6, outputs
    assert len({trial.params["x"] for trial in done}) == 6
    assert set(best) <= {trial.value for trial in done}
    assert {t.state for t in trials(tmp_path)} == {TrialState.COMPLETE, TrialState.FAIL}
    folders = [trial.user_attrs["folder"] for trial in done]
    assert folders == [str(trial.number) for trial in done]
    assert all((tmp_path / "s" / folder / "app.log").exists() for folder in folders)


def test_ctrl_c_ends_it_in_order(start: Start, tmp_path: Path) -> None:
    process = start("x=interval(0,1)", "seconds=60", "hydra.sweeper.n_jobs=2")
    wait_for(lambda: sum("folder" in t.user_attrs for t in trials(tmp_path)) == 2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "stopped (Ctrl-C). 2 of its trials ran and will be tried again" in output
    assert not alive(tmp_path)
    first, second, *again = trials(tmp_path)
    assert [trial.state.name for trial in (first, second)] == ["FAIL", "FAIL"]
    assert [trial.state.name for trial in again] == ["WAITING", "WAITING"]
    assert [t.system_attrs["fixed_params"] for t in again] == [first.params, second.params]


def test_failures_have_their_reason_and_cost_nothing_but_themselves(
    start: Start, tmp_path: Path
) -> None:
    faults = "fault=gpu,ok,error,infinite,killed,none,slow,pruned"
    process = start(
        faults, "hydra/sweeper/sampler=grid", "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=8",
        "hydra.sweeper.trial_timeout=2", "hydra.sweeper.max_failure_rate=1", "steps=1",
        "hydra.sweeper.gpus=[7,7]",
        "hydra.sweeper.pruner.n_startup_trials=1",
        "hydra.sweeper.pruner.n_warmup_steps=0",
    )  # fmt: skip
    output, _ = process.communicate()
    assert process.returncode == 0, output
    found = {t.params["fault"]: t for t in trials(tmp_path)}
    assert found["ok"].state == TrialState.COMPLETE
    assert found["gpu"].value == 7  # what its worker sees
    assert found["pruned"].state == TrialState.PRUNED
    reasons = {name: str(trial.user_attrs.get("reason")) for name, trial in found.items()}
    assert "RuntimeError: out of beans" in reasons["error"]
    assert reasons["pruned"] == "too low"
    assert "inf" in reasons["infinite"]
    assert "SIGKILL" in reasons["killed"]
    assert "no value" in reasons["none"]
    assert "time limit of 2 s" in reasons["slow"]
    assert Counter(t.state for t in found.values())[TrialState.FAIL] == 5
    assert "grid has no further points" in output
    assert not alive(tmp_path)
    assert (
        "out of beans"
        in (tmp_path / "s" / "workers")
        .joinpath(
            next(p.name for p in (tmp_path / "s" / "workers").iterdir() if "beans" in p.read_text())
        )
        .read_text()
    )


def test_a_mistyped_name_ends_it_before_the_first_trial(start: Start, tmp_path: Path) -> None:
    process = start("x=interval(0,1)", "+hydra.sweeper.params={seconts: 'interval(0,1)'}")
    output, _ = process.communicate()
    assert process.returncode != 0
    assert "seconts" in output
    assert trials(tmp_path) == []


def test_a_hydra_launcher_runs_the_trials_in_batches(start: Start, tmp_path: Path) -> None:
    process = start(
        "model=small,large", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_jobs=2", "steps=1",
        "hydra.sweeper.conditional=[{when: {model: large}, params: {model.depth: 'range(1,2)'}}]",
        "hydra/launcher=submitit_local", "fault=depth",
    )  # fmt: skip
    output, _ = process.communicate()
    assert process.returncode == 0, output
    found = trials(tmp_path)
    assert sorted(t.value for t in found) == [0.0, 1.0, 2.0]  # the group and what hangs on it
    reported = [list(t.intermediate_values.items()) for t in found]
    assert reported == [[(0, pytest.approx(1 - 0.3**2))]] * 3
    assert {"0", "1", "2"} <= {path.name for path in (tmp_path / "s").iterdir()}
