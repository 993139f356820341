"""What runs the jobs of a sweep: own worker processes, or batches of a Hydra launcher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from covidlit.sweep.outcome import Outcome
from covidlit.sweep.trial_records import Asked


@dataclass(frozen=True)
class Job:
    """A trial and all overrides of its job."""

    asked: Asked
    overrides: list[str]


@dataclass(frozen=True)
class Started:
    """A job runs now, in that folder (relative to the sweep's)."""

    job: Job
    folder: str


@dataclass(frozen=True)
class Ended:
    """A job is over."""

    job: Job
    outcome: Outcome


class Executor(Protocol):
    """Runs jobs, some of them at a time."""

    def free(self) -> int:
        """How many more jobs it takes now."""

    def running(self) -> list[Job]:
        """The jobs that are not over."""

    def submit(self, job: Job) -> None:
        """Take a job."""

    def wait(self, timeout: float) -> list[Started | Ended]:
        """What happened; waits until something does, or for `timeout` seconds."""

    def close(self) -> None:
        """End all processes, and the jobs in them."""
