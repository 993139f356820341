"""A sweep whose trials fail ends before it has failed with all of them."""

from __future__ import annotations

import io
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from rich.console import Console

from covidlit.errors import TrainingError
from covidlit.sweep.executors import Ended, Job, Started
from covidlit.sweep.heartbeat import Heartbeat
from covidlit.sweep.loop import run_trials
from covidlit.sweep.outcome import failed
from covidlit.sweep.progress import SweepProgress
from covidlit.sweep.settings import SweepSettings
from covidlit.sweep.space_reading import read_space
from covidlit.sweep.stop_signal import StopSignal
from covidlit.sweep.storage import open_storage
from covidlit.sweep.study import open_study
from covidlit.sweep.trial_queue import TrialQueue
from covidlit.sweep.trial_records import TrialRecords


class FailingJobs:
    """An executor of one job at a time, each of which fails."""

    def __init__(self) -> None:
        self._job: Job | None = None

    def free(self) -> int:
        return int(self._job is None)

    def running(self) -> list[Job]:
        return [] if self._job is None else [self._job]

    def submit(self, job: Job) -> None:
        self._job = job

    def wait(self, timeout: float) -> list[Started | Ended]:
        (job,), self._job = self.running(), None
        return [Started(job, str(job.asked.number)), Ended(job, failed("out of beans"))]

    def close(self) -> None:
        self._job = None


@pytest.mark.parametrize(("rate", "n_failed"), [(0.0, 1), (0.3, 2), (0.5, 3)])
def test_they_end_it(rate: float, n_failed: int, tmp_path: Path) -> None:
    storage = open_storage(None, tmp_path)
    space = read_space(["x=interval(0,1)"], {})
    study = open_study(storage, "s", space, "maximize", None, tmp_path)
    sampler = {"_target_": "optuna.samplers.RandomSampler", "seed": 0}
    settings = SweepSettings(
        sampler=sampler, pruner={}, study_name="s", storage=None, direction="maximize",
        n_trials=4, n_jobs=1, gpus=None, trial_timeout=None, max_failure_rate=rate, folds=None,
        params={}, conditional=[],
    )  # fmt: skip
    with Heartbeat(storage) as heartbeat:
        records = TrialRecords("s", storage, heartbeat, tmp_path)
        queue = TrialQueue(records, space, sampler, optuna.pruners.NopPruner(), 4)
        with (
            SweepProgress(4, console=Console(file=io.StringIO())) as progress,
            pytest.raises(TrainingError, match=rf"(?s)^sweep s: {n_failed} .*out of beans"),
        ):
            run_trials(settings, [], records, queue, FailingJobs(), study, progress, StopSignal())
        assert [t.state for t in records.trials()] == [TrialState.FAIL] * n_failed
