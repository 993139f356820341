"""Where a study is kept: a journal that survives its writers, SQLite for one machine alone."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from example_studies import add, study
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from sweep_study import Sweep
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.errors import ConfigError
from covidlit.sweep.heartbeat import Heartbeat
from covidlit.sweep.outcome import Outcome
from covidlit.sweep.space_reading import read_space
from covidlit.sweep.storage import open_storage
from covidlit.sweep.study import open_study
from covidlit.sweep.trial_queue import TrialQueue
from covidlit.sweep.trial_records import TrialRecords

RANDOM = {"_target_": "optuna.samplers.RandomSampler", "seed": 0}


def sqlite(folder: Path) -> str:
    """The URL of the file that older versions made."""
    folder.mkdir(exist_ok=True)
    return f"sqlite:///{folder / 'study.db'}"


def go_on(folder: Path, n_trials: int, storage: str | None = None) -> list[Any]:
    """What a command does: run the trials that are missing from the total."""
    opened = open_storage(storage, folder)
    space = read_space(["x=interval(0,1)"], {})
    open_study(opened, "s", space, "maximize", None, folder)
    records = TrialRecords("s", opened, Heartbeat(opened), folder)
    records.retry_lost()
    queue = TrialQueue(records, space, RANDOM, optuna.pruners.NopPruner(), n_trials)
    while (asked := queue.next()) is not None:
        records.tell(asked, Outcome("complete", value=float(asked.number)))
    return [(trial.number, trial.value, trial.params) for trial in records.trials()]


def convert(folder: Path, *arguments: str) -> str:
    """`covidlit sweep FOLDER --to-journal`."""
    done = CliRunner().invoke(app, ["sweep", str(folder), "--to-journal", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_study_is_kept_in_a_journal_that_optuna_itself_opens(tmp_path: Path) -> None:
    go_on(tmp_path, 3)
    journal = JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))
    assert optuna.get_all_study_names(journal) == ["s"]
    assert not (tmp_path / "study.db").exists()


def test_a_study_in_sqlite_is_gone_on_with(tmp_path: Path) -> None:
    before = go_on(tmp_path, 2, sqlite(tmp_path))
    after = go_on(tmp_path, 3)
    assert after[:2] == before
    assert len(after) == 3
    assert not (tmp_path / "study.log").exists()


def test_no_journal_begins_beside_a_study_in_sqlite(tmp_path: Path) -> None:
    go_on(tmp_path, 2, sqlite(tmp_path))
    with pytest.raises(ConfigError, match=rf"storage=journal.*covidlit sweep {tmp_path} --to-j"):
        go_on(tmp_path, 3, "journal")
    assert not (tmp_path / "study.log").exists()


def test_a_study_in_sqlite_is_converted_whole(tmp_path: Path) -> None:
    made = study(storage=open_storage(sqlite(tmp_path), tmp_path))
    add(made, 0.7)
    add(made, None, curve=(0.5, math.nan))
    add(made, None, reason="MemoryError")
    made.enqueue_trial({"model.task.optimizer.lr": 0.002})
    made.ask()
    made.enqueue_trial({"model.task.optimizer.lr": 0.003})
    said = " ".join(convert(tmp_path).split())
    assert "1 finished, 1 pruned, 1 failed, 1 running, 1 waiting" in said
    copy = optuna.load_study(study_name="example", storage=open_storage(None, tmp_path))
    assert (tmp_path / "study.db").exists()
    assert (copy.user_attrs, copy.directions) == (made.user_attrs, made.directions)

    def facts(trial: optuna.trial.FrozenTrial) -> list[Any]:
        names = (
            "number", "state", "values", "params", "user_attrs", "system_attrs", "distributions",
            "datetime_start", "datetime_complete",
        )  # fmt: skip
        return [*(getattr(trial, name) for name in names), repr(trial.intermediate_values)]

    assert [facts(trial) for trial in copy.trials] == [facts(trial) for trial in made.trials]
    again = CliRunner().invoke(app, ["sweep", str(tmp_path), "--to-journal"])
    assert again.exit_code == 2
    assert "there is a journal already" in again.output


def test_a_conversion_that_is_interrupted_leaves_no_part_of_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = go_on(tmp_path, 2, sqlite(tmp_path))
    create = JournalStorage.create_new_trial

    def stopped(*arguments: Any, **named: Any) -> None:
        create(*arguments, **named)
        raise KeyboardInterrupt  # after the first of two

    with monkeypatch.context() as patched:
        patched.setattr(JournalStorage, "create_new_trial", stopped)
        CliRunner().invoke(app, ["sweep", str(tmp_path), "--to-journal"])
    assert (tmp_path / "study.log.part").exists()
    assert not (tmp_path / "study.log").exists()
    convert(tmp_path)
    assert go_on(tmp_path, 2, "journal") == before


def test_sqlite_is_refused_once_another_machine_has_trials_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = go_on(tmp_path, 2, sqlite(tmp_path))
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    command = rf"covidlit sweep {tmp_path} --to-journal"
    with pytest.raises(ConfigError, match=rf"hydra\.sweeper\.storage: .*another.*{command}"):
        go_on(tmp_path, 3)
    convert(tmp_path)
    after = go_on(tmp_path, 3)
    assert (after[:2], len(after)) == (before, 3)


def test_sqlite_elsewhere_is_refused_with_the_command_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = sqlite(tmp_path / "databases"), tmp_path / "sweep"
    before = go_on(folder, 2, url)
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    with pytest.raises(ConfigError, match=rf"covidlit sweep {folder} --storage {url} --to-journal"):
        go_on(folder, 3, url)
    convert(folder, "--storage", url)
    assert go_on(folder, 2) == before


def test_sqlite_of_an_older_version_is_refused_likewise(tmp_path: Path) -> None:
    go_on(tmp_path, 1, sqlite(tmp_path))
    made = optuna.load_study(study_name="s", storage=sqlite(tmp_path))
    owner = {"host": "old-machine", "sweeper": "1-a", "folder": str(tmp_path)}
    attributes = {"owner": owner, "heartbeat": 1.0}
    made.add_trial(optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=attributes))
    with pytest.raises(ConfigError, match="old-machine"):
        go_on(tmp_path, 3)


def test_the_job_of_a_launcher_on_another_machine_refuses_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Sweep(tmp_path, storage=sqlite(tmp_path))
    trial = sweep.trial()
    sweep.study._storage.set_trial_user_attr(sweep.newest()._trial_id, "host", "login-node")
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.storage: .*login-node"), trial:
        pass
    monkeypatch.setattr(socket, "gethostname", lambda: "login-node")
    with trial:
        trial.report(0.5, 0)


RUN = """
import resource, signal, sys
from pathlib import Path
import optuna
from covidlit.sweep import journal
from covidlit.sweep.storage import open_storage
journal._GRACE_S = 3
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that may not grow is an error
limit = int(sys.argv[1])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
storage = open_storage("journal", Path("sweep"))
study = optuna.create_study(study_name="s", storage=storage, load_if_exists=True)
for _ in range(int(sys.argv[2])):
    study.tell(study.ask(), 1.0)
"""


def run(tmp_path: Path, limit: int, n_trials: int) -> subprocess.CompletedProcess[str]:
    """Write trials in a process of its own, whose files may have that many bytes (0: no limit)."""
    return subprocess.run(
        [sys.executable, "-c", RUN, str(limit), str(n_trials)], cwd=tmp_path, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}, capture_output=True,
        check=False, timeout=200,
    )  # fmt: skip


def written(tmp_path: Path) -> list[float | None]:
    """Values of the trials in the journal."""
    storage = open_storage("journal", tmp_path / "sweep")
    return [trial.value for trial in optuna.load_study(study_name="s", storage=storage).trials]


@pytest.mark.parametrize("limit", [700, 1000, 1030])
def test_a_journal_survives_a_full_disk(tmp_path: Path, limit: int) -> None:
    full = run(tmp_path, limit, 100)
    assert "StorageInternalError" in full.stderr
    assert (tmp_path / "sweep" / "study.log").stat().st_size == limit  # its last line is torn
    before = written(tmp_path)
    assert run(tmp_path, 0, 3).returncode == 0
    after = written(tmp_path)
    assert after[: len(before)] == before
    assert after[len(before) :] == [1.0] * 3


def test_the_lock_of_a_writer_that_was_killed_expires(tmp_path: Path) -> None:
    assert run(tmp_path, 0, 1).returncode == 0
    kill = RUN.replace("for _", "import os\nos.fsync = lambda _: os.kill(os.getpid(), 9)\nfor _")
    killed = subprocess.run(
        [sys.executable, "-c", kill, "0", "1"], cwd=tmp_path, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert killed.returncode == -9
    assert os.path.lexists(tmp_path / "sweep" / "study.log.lock")
    after = run(tmp_path, 0, 1)  # by a relative path, as `runs/sweeps/csacnet`
    assert after.returncode == 0, after.stderr
