"""A whole sweep by its command, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from covidlit.sweep.storage import open_storage

pytestmark = pytest.mark.slow

APP = Path(__file__).parent / "app.py"
ROOT = APP.parents[2]
MARK = "COVIDLIT_TEST_SWEEP"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the command with more arguments, always in the same folder.

    The trials from number `hold_from` on do not end.
    """
    processes = []

    def started(*arguments: str, hold_from: int = 1000) -> subprocess.Popen[str]:
        command = [sys.executable, str(APP), "-m", f"hydra.sweep.dir={tmp_path / 's'}", *arguments]
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), MARK: str(tmp_path),
            "COVIDLIT_TEST_HOLD_FROM": str(hold_from),
        }  # fmt: skip
        process = subprocess.Popen(
            command, env=environment, cwd=tmp_path, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
            # A suite in the background would hand on that it ignores Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        process.wait()


def trials(tmp_path: Path) -> list[FrozenTrial]:
    if not (tmp_path / "s" / "study.log").exists():
        return []
    try:
        study = optuna.load_study(study_name="sweep", storage=open_storage(None, tmp_path / "s"))
    except KeyError:  # not made yet
        return []
    return study.trials


def begun(tmp_path: Path) -> list[int]:
    """Numbers of the trials whose job has begun."""
    return [trial.number for trial in trials(tmp_path) if "folder" in trial.user_attrs]


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Wait until it comes true, as long as the suite lets a test run; the process lives on."""
    while not condition():
        assert process is None or process.poll() is None, process.communicate()[0]
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
    arguments = ["x=interval(0,1)", "hydra.sweeper.n_trials=6"]
    best: list[float] = []
    for held in (0, 3):  # the trial that runs when the sweep is killed
        process = start(*arguments, hold_from=held)
        wait_for(lambda number=held: number in begun(tmp_path), process)
        process.kill()
        process.communicate()
        wait_for(lambda: not alive(tmp_path))
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
    process = start("x=interval(0,1)", "hydra.sweeper.n_jobs=2", hold_from=0)
    wait_for(lambda: len(begun(tmp_path)) == 2, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "stopped (Ctrl-C). 2 of its trials ran and will be tried again" in output
    wait_for(lambda: not alive(tmp_path))
    first, second, *again = trials(tmp_path)
    assert [trial.state.name for trial in (first, second)] == ["FAIL", "FAIL"]
    assert [trial.state.name for trial in again] == ["WAITING", "WAITING"]
    assert [t.system_attrs["fixed_params"] for t in again] == [first.params, second.params]


def test_failures_have_their_reason_and_cost_nothing_but_themselves(
    start: Start, tmp_path: Path
) -> None:
    faults = "fault=gpu,ok,error,infinite,killed,none,pruned"
    process = start(
        faults, "hydra/sweeper/sampler=grid", "hydra.sweeper.n_jobs=2", "hydra.sweeper.n_trials=7",
        "hydra.sweeper.max_failure_rate=1", "steps=1",
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
    assert Counter(t.state for t in found.values())[TrialState.FAIL] == 4
    assert "grid has no further points" in output
    wait_for(lambda: not alive(tmp_path))
    printed = [path.read_text() for path in (tmp_path / "s" / "workers").iterdir()]
    assert any("out of beans" in text for text in printed)


def test_a_trial_over_the_time_limit_is_stopped(start: Start, tmp_path: Path) -> None:
    process = start(
        "x=1,2", "fault=slow", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=2",
        "hydra.sweeper.trial_timeout=0.5", "hydra.sweeper.max_failure_rate=1",
    )  # fmt: skip
    output, _ = process.communicate()
    assert process.returncode == 0, output
    reasons = [str(trial.user_attrs.get("reason")) for trial in trials(tmp_path)]
    assert reasons == ["it ran over the time limit of 0.5 s."] * 2
    wait_for(lambda: not alive(tmp_path))


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
