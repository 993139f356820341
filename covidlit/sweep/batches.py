"""Batches of jobs through a Hydra launcher: submitit, Ray, joblib."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hydra.core.override_parser.types import Quote, QuotedString

from covidlit.sweep.executors import Ended, Job, Started
from covidlit.sweep.job import Application, job_folder, refuse_used
from covidlit.sweep.outcome import outcome_of, outcome_of_error
from covidlit.sweep.stop_signal import StopSignal

if TYPE_CHECKING:
    from hydra.plugins.launcher import Launcher


class Batches:
    """Runs jobs through a launcher, which answers when all of a batch are over; see `Executor`.

    Args:
        application: the Hydra application.
        launcher: set up for it.
        n_jobs: jobs in a batch.
        stop: ends the wait for a batch.
    """

    def __init__(
        self, application: Application, launcher: Launcher, n_jobs: int, stop: StopSignal
    ) -> None:
        self._stop = stop
        self._application, self._launcher, self._n_jobs = application, launcher, n_jobs
        self._batch: list[Job] = []
        self._announced = False
        self._overrides: list[list[str]] = []

    def free(self) -> int:
        """Places in the batch that is gathered."""
        return 0 if self._announced else self._n_jobs - len(self._batch)

    def running(self) -> list[Job]:
        """The jobs of the batch."""
        return list(self._batch)

    def submit(self, job: Job) -> None:
        """Put the job into the batch."""
        self._batch.append(job)

    def wait(self, timeout: float) -> list[Started | Ended]:
        """Say where the jobs run; called again, run them all, however long it takes."""
        if not self._announced:
            return self._announce()
        batch = self._batch  # kept meanwhile: these run, should the sweep be stopped
        try:
            with self._stop.at_once():
                returned = self._launcher.launch(
                    self._overrides, initial_job_idx=batch[0].asked.number
                )
            outcomes = [outcome_of(one) for one in returned]
        except Exception as error:  # a launcher that gives up has no outcome of any of its jobs
            outcomes = [outcome_of_error(error)] * len(batch)
        self._batch, self._announced = [], False
        return [Ended(job, outcome) for job, outcome in zip(batch, outcomes, strict=True)]

    def close(self) -> None:
        """The launcher ends its processes by itself."""

    def _announce(self) -> list[Started | Ended]:
        """Compose here first: launchers number jobs in their own way, so the folder is given."""
        events: list[Started | Ended] = []
        self._overrides, ready = [], []
        for job in self._batch:
            try:
                config = self._application.compose(job.asked.number, job.overrides)
                root, folder = job_folder(config)
                refuse_used(root / folder)
            except Exception as error:  # the trial fails with the reason, and the others run
                events.append(Ended(job, outcome_of_error(error)))
                continue
            ready.append(job)
            subdir = QuotedString(folder, Quote.single).with_quotes()
            self._overrides.append([*job.overrides, f"hydra.sweep.subdir={subdir}"])
            events.append(Started(job, folder))
        self._batch, self._announced = ready, bool(ready)
        return events
