"""The study of a sweep has exactly its trials, whatever happens to the processes that run them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from covidlit.errors import ConfigError
from covidlit.sweep.heartbeat import Heartbeat
from covidlit.sweep.outcome import Outcome, failed
from covidlit.sweep.space import SearchSpace
from covidlit.sweep.space_reading import read_space
from covidlit.sweep.storage import open_storage
from covidlit.sweep.study import open_study
from covidlit.sweep.trial_queue import TrialQueue
from covidlit.sweep.trial_records import TrialRecords

RANDOM = {"_target_": "optuna.samplers.RandomSampler", "seed": 0}
TPE = {"_target_": "optuna.samplers.TPESampler", "seed": 0, "n_startup_trials": 3}
CMAES = {"_target_": "covidlit.sweep.samplers.CmaEs", "seed": 0}
GRID = {"_target_": "covidlit.sweep.samplers.Grid"}


class Process(TrialQueue):
    """One process of a sweep."""

    def __init__(
        self, records: TrialRecords, space: SearchSpace, sampler: dict[str, Any], n_trials: int
    ) -> None:
        super().__init__(records, space, sampler, optuna.pruners.NopPruner(), n_trials)
        self.records = records


class Sweeps:
    """Processes of one sweep, played in this one: each has a storage and a heartbeat of its own."""

    def __init__(self, folder: Path, storage: str | None = None) -> None:
        self.folder, self._storage, self.now = folder, storage, 0.0
        self._alive: list[Heartbeat] = []

    def start(
        self, sampler: dict[str, Any] = RANDOM, n_trials: int = 5, x: str = "interval(0,1)"
    ) -> Process:
        storage = open_storage(self._storage, self.folder)
        space = read_space([f"x={x}", "y=interval(0,1)" if "int" in x else "y=1,2"], {})
        open_study(storage, "s", space, "maximize", None, self.folder)
        heartbeat = Heartbeat(storage, clock=lambda: self.now)
        self._alive.append(heartbeat)
        return Process(TrialRecords("s", storage, heartbeat, self.folder), space, sampler, n_trials)

    def kill(self, queue: Process) -> None:
        """End a process without a word."""
        self._alive.remove(queue.records._heartbeat)

    def found_lost(self, *queues: Process, looks: int = 4) -> list[list[int]]:
        """Let time pass; the trials that each process finds lost, look by look for all of them."""
        found: list[list[int]] = [[] for _ in queues]
        for _ in range(looks):
            for numbers, queue in zip(found, queues, strict=True):
                numbers += queue.records.retry_lost()
            self.now += queues[0].records.look_interval
            for heartbeat in self._alive:
                heartbeat.beat()
        return found


@pytest.fixture(params=["journal", "sqlite"])
def sweeps(request: pytest.FixtureRequest, tmp_path: Path) -> Sweeps:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    return Sweeps(tmp_path, storage if request.param == "sqlite" else None)


@pytest.fixture
def journal_sweeps(tmp_path: Path) -> Sweeps:
    return Sweeps(tmp_path)


def objective(params: dict[str, Any]) -> float:
    return -((float(params["x"]) - 0.3) ** 2) - (float(params["y"]) - 0.6) ** 2


def finish(queue: Process) -> list[dict[str, Any]]:
    """Run all trials that are left; what was proposed, in order."""
    proposed = []
    while (asked := queue.next()) is not None:
        params = queue.records.trials()[asked.number].params
        proposed.append(params)
        queue.records.tell(asked, Outcome("complete", value=objective(params)))
    return proposed


def states(queue: Process) -> list[str]:
    return [trial.state.name for trial in queue.records.trials()]


def test_two_sweepers_end_with_exactly_the_total(sweeps: Sweeps) -> None:
    one, two = sweeps.start(n_trials=3), sweeps.start(n_trials=3)
    asked = [one.next(), two.next(), one.next()]
    assert None not in asked
    assert two.next() is None  # three run already
    for queue, trial in zip([one, two, one], asked, strict=True):
        assert trial is not None
        queue.records.tell(trial, Outcome("complete", value=1.0))
    assert (one.next(), two.next()) == (None, None)
    assert states(one) == ["COMPLETE"] * 3
    assert len({trial.params["x"] for trial in one.records.trials()}) == 3


def test_a_trial_too_many_is_withdrawn(
    journal_sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = journal_sweeps.start(n_trials=1), journal_sweeps.start(n_trials=1)
    take = two.records.take

    def slow_take() -> tuple[int, int]:
        """The other sweeper is faster, between this one's look at the study and its trial."""
        monkeypatch.setattr(two.records, "take", take)
        assert one.next() is not None
        return take()

    monkeypatch.setattr(two.records, "take", slow_take)
    assert two.next() is None
    assert states(one) == ["RUNNING", "FAIL"]
    assert one.records.trials()[1].user_attrs["reason"] == "not needed"


def test_failed_trials_do_not_count(sweeps: Sweeps) -> None:
    queue = sweeps.start(n_trials=2)
    first = queue.next()
    assert first is not None
    queue.records.tell(first, failed("out of memory"))
    assert len(finish(queue)) == 2
    assert states(queue) == ["FAIL", "COMPLETE", "COMPLETE"]
    assert queue.records.trials()[0].user_attrs["reason"] == "out of memory"


def test_a_pruned_trial_counts_with_its_last_value(journal_sweeps: Sweeps) -> None:
    queue = journal_sweeps.start(n_trials=1)
    asked = queue.next()
    assert asked is not None
    study = optuna.load_study(study_name="s", storage=open_storage(None, journal_sweeps.folder))
    optuna.trial.Trial(study, asked.trial_id).report(0.25, 0)
    queue.records.tell(asked, Outcome("pruned"))
    assert queue.next() is None
    assert (states(queue), queue.records.trials()[0].value) == (["PRUNED"], 0.25)


@pytest.mark.parametrize("sampler", [TPE, CMAES], ids=["tpe", "cmaes"])
def test_a_killed_sweep_proposes_what_a_whole_one_does(
    sampler: dict[str, Any], tmp_path: Path
) -> None:
    whole = finish(Sweeps(tmp_path / "a").start(sampler, n_trials=7))
    killed = Sweeps(tmp_path / "b")
    proposed = []
    for _ in range(5):  # one trial finished, one running when the process is killed
        queue = killed.start(sampler, n_trials=7)
        killed.found_lost(queue)
        asked = queue.next()
        assert asked is not None
        params = queue.records.trials()[asked.number].params
        proposed.append(params)
        queue.records.tell(asked, Outcome("complete", value=objective(params)))
        assert queue.next() is not None
        killed.kill(queue)
    queue = killed.start(sampler, n_trials=7)
    assert killed.found_lost(queue) != [[]]
    proposed += finish(queue)
    assert proposed == whole
    assert len({params["x"] for params in whole}) == 7


def test_the_trial_of_a_dead_process_is_tried_again_in_a_new_folder(sweeps: Sweeps) -> None:
    one = sweeps.start(n_trials=1)
    asked = one.next()
    assert asked is not None
    two = sweeps.start(n_trials=1)
    assert sweeps.found_lost(two, looks=20) == [[]]  # its process lives
    assert two.records.undecided() == []
    assert two.next() is None
    sweeps.kill(one)
    assert sweeps.found_lost(two, looks=3) == [[]]
    assert two.records.undecided() == [0]
    assert sweeps.found_lost(two) == [[0]]
    assert two.records.undecided() == []
    again = two.next()
    assert again is not None
    assert (again.number, again.overrides) == (1, asked.overrides)
    assert states(two) == ["FAIL", "RUNNING"]
    assert two.records.trials()[0].user_attrs["reason"] == "killed with its sweeper"
    assert two.records.trials()[1].user_attrs["retry_of"] == 0


def test_a_trial_that_was_killed_while_it_was_drawn_is_drawn_again(
    journal_sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = finish(Sweeps(tmp_path / "a").start(n_trials=2))
    one = journal_sweeps.start(n_trials=2)
    one.records.take()  # and killed: no parameter was drawn
    journal_sweeps.kill(one)
    two = journal_sweeps.start(n_trials=2)
    assert journal_sweeps.found_lost(two) == [[0]]
    assert finish(two) == whole


def add_running(sweeps: Sweeps, **attributes: Any) -> int:
    """A trial of another machine; its id."""
    storage = open_storage(None, sweeps.folder)
    template = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=attributes)
    return storage.create_new_trial(storage.get_study_id_from_name("s"), template)


@pytest.mark.parametrize("skew", [-1e6, 0.0, 1e6])
def test_no_clocks_are_compared(journal_sweeps: Sweeps, skew: float) -> None:
    queue = journal_sweeps.start()
    storage = open_storage(None, journal_sweeps.folder)
    for _ in range(2):
        add_running(journal_sweeps, host="elsewhere", heartbeat=time.time() + skew)
    for look in range(6):
        storage.set_trial_user_attr(1, "heartbeat", time.time() + skew)  # the second alone lives
        assert journal_sweeps.found_lost(queue, looks=1) == [[0] if look == 3 else []]


def test_a_storage_out_of_reach_makes_no_trial_look_lost(journal_sweeps: Sweeps) -> None:
    one, two = journal_sweeps.start(), journal_sweeps.start()
    assert one.next() is not None
    for _ in range(5):
        assert journal_sweeps.found_lost(two, looks=2) == [[]]
        journal_sweeps.now += 86_400  # a night in which neither could write nor read
        assert two.records.retry_lost() == []  # and this one is back before the other


@pytest.mark.parametrize(
    "attributes", [{}, {"owner": {"host": "h", "sweeper": "1-a", "folder": "f"}}]
)
def test_trials_without_a_heartbeat_are_tried_again(
    journal_sweeps: Sweeps, attributes: dict[str, Any]
) -> None:
    """Killed before its first sign of life, or of an older version."""
    queue = journal_sweeps.start()
    add_running(journal_sweeps, **attributes)
    assert journal_sweeps.found_lost(queue) == [[0]]


def test_two_processes_that_find_the_same_trial_lost_run_it_once(sweeps: Sweeps) -> None:
    dead, one, two = (sweeps.start(n_trials=3) for _ in range(3))
    assert dead.next() is not None
    sweeps.kill(dead)
    trials = two.records.trials
    before = trials()
    sweeps.found_lost(one, two, looks=3)
    assert one.records.retry_lost() == [0]
    two.records.trials = lambda: before  # type: ignore[method-assign]  # it looked at the same time
    assert two.records.retry_lost() == [0]
    two.records.trials = trials  # type: ignore[method-assign]
    assert states(one) == ["FAIL", "WAITING", "WAITING"]
    running = [(queue, queue.next()) for queue in (one, two, one, two)]
    assert [asked is None for _, asked in running] == [False, False, False, True]
    for queue, asked in running:
        if asked is not None:
            queue.records.tell(asked, Outcome("complete", value=1.0))
    done = [trial for trial in trials() if trial.state == TrialState.COMPLETE]
    assert len(done) == 3
    assert len({trial.params["x"] for trial in done}) == 3


def test_a_running_trial_gives_signs_of_life(
    journal_sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Heartbeat, "interval", 0.02)
    queue = journal_sweeps.start()
    assert queue.next() is not None
    first = queue.records.trials()[0].user_attrs["heartbeat"]
    with queue.records._heartbeat:
        while queue.records.trials()[0].user_attrs["heartbeat"] == first:
            time.sleep(0.01)  # until the suite's own time limit


def test_an_outcome_that_comes_too_late_does_not_count(
    journal_sweeps: Sweeps, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = journal_sweeps.start(n_trials=2), journal_sweeps.start(n_trials=2)
    asked = one.next()
    assert asked is not None
    journal_sweeps.kill(one)  # as far as the other can see
    assert journal_sweeps.found_lost(two) == [[0]]
    one.records.started(asked, "0")
    one.records.tell(asked, Outcome("complete", value=9.0))
    assert "does not count" in caplog.text
    assert states(two) == ["FAIL", "WAITING"]


def test_the_grid_ends_with_its_last_point_also_among_several(sweeps: Sweeps) -> None:
    one, two = (sweeps.start(GRID, n_trials=50, x="choice(1,2,3)") for _ in range(2))
    running = []
    while (asked := one.next() if len(running) % 2 else two.next()) is not None:
        running.append((one if len(running) % 2 else two, asked))
    for queue, asked in running:
        queue.records.tell(asked, Outcome("complete", value=1.0))
    found = [tuple(trial.params.values()) for trial in one.records.trials()]
    assert sorted(found) == [(x, y) for x in "123" for y in "12"]


def test_a_study_goes_on_with_the_same_settings_alone(journal_sweeps: Sweeps) -> None:
    storage = open_storage(None, journal_sweeps.folder)

    def opened(
        space: str, fixed: str, direction: str = "maximize", folds: int | None = None
    ) -> int:
        study = open_study(
            storage, "s", read_space([space, fixed], {}), direction, folds, journal_sweeps.folder
        )
        return int(study._study_id)

    first = opened("x=interval(0,1)", "epochs=3")
    assert opened("x=interval(0,1)", "epochs=3") == first
    with pytest.raises(ConfigError, match=r"x is interval\(0,1\) .* interval\(0,2\)"):
        opened("x=interval(0,2)", "epochs=3")
    with pytest.raises(ConfigError, match=r"epochs is 3 .* 4 in this command.*study_name"):
        opened("x=interval(0,1)", "epochs=4")
    with pytest.raises(ConfigError, match="direction is maximize"):
        opened("x=interval(0,1)", "epochs=3", "minimize")
    with pytest.raises(ConfigError, match="folds is None in the study and 5"):
        opened("x=interval(0,1)", "epochs=3", folds=5)


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    for url in ("sqlite:////nowhere/at/all.db", "nodatabase://x", "postgresql+nodriver://x/y"):
        with pytest.raises(ConfigError, match=r"hydra\.sweeper\.storage.*cannot be opened"):
            open_storage(url, tmp_path)


def test_a_study_of_something_else_is_left_alone(tmp_path: Path) -> None:
    storage = open_storage(None, tmp_path)
    optuna.create_study(storage=storage, study_name="s").ask()
    with pytest.raises(ConfigError, match="was not made by a sweep"):
        open_study(storage, "s", read_space(["x=1,2"], {}), "maximize", None, tmp_path)
