"""A pool of worker processes that outlive their jobs and are replaced when they die."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import cloudpickle

from covidlit.errors import TrainingError
from covidlit.sweep.executors import Ended, Job, Started
from covidlit.sweep.job import Application, hydra_state
from covidlit.sweep.outcome import Outcome, failed
from covidlit.sweep.worker import serve

_END_S = 5
"""How long a worker may take from closing its connection to its end."""
_THREADS = "OMP_NUM_THREADS"


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    job: Job | None = None
    started: float | None = None


class WorkerPool:
    """Runs jobs in own processes; see `Executor`.

    A process imports the libraries once for all its jobs. One that dies, runs over the time or
    ends a job in an unknown state is replaced, which costs the others nothing.

    Args:
        application: the Hydra application.
        n_jobs: workers.
        log_dir: what worker k prints goes to `<log_dir>/<name>_<k>.log`.
        name: of this sweeper, which may share the folder with others.
        wakeup: ends a wait for the workers as soon as it has something to say.
        gpus: indices that worker k gets in turn as its only GPU; None: all see all.
        timeout: seconds that a job may take; None: no limit.
    """

    def __init__(
        self,
        application: Application,
        n_jobs: int,
        log_dir: Path,
        name: str,
        wakeup: Connection | None = None,
        gpus: Sequence[int | str] | None = None,
        timeout: float | None = None,
    ) -> None:
        self._payload = cloudpickle.dumps((application, hydra_state()))
        self._log_dir, self._name, self._wakeup = log_dir, name, wakeup
        self._gpus, self._timeout = gpus, timeout
        self._workers: list[_Worker | None] = [None] * n_jobs

    def free(self) -> int:
        """Workers without a job."""
        return sum(worker is None or worker.job is None for worker in self._workers)

    def running(self) -> list[Job]:
        """The jobs that the workers have."""
        return [w.job for w in self._workers if w is not None and w.job is not None]

    def submit(self, job: Job) -> None:
        """Give the job to a worker that waits, or to a new one."""
        idle = [k for k, w in enumerate(self._workers) if w is not None and w.job is None]
        slot = idle[0] if idle else self._workers.index(None)
        worker = self._workers[slot]
        if worker is not None and not worker.process.is_alive():  # not the next job's fault
            self._kill(slot)
            worker = None
        worker = self._workers[slot] = worker or self._start(slot)
        worker.job, worker.started = job, None
        with contextlib.suppress(OSError):  # it has just died: `wait` will notice
            worker.connection.send((job.asked.number, job.overrides))

    def wait(self, timeout: float) -> list[Started | Ended]:
        """What the workers say, and which of them died or ran over the time."""
        busy = {k: w for k, w in enumerate(self._workers) if w is not None and w.job is not None}
        limits = [self._seconds_left(worker) for worker in busy.values()]
        sources = [thing for w in busy.values() for thing in (w.connection, w.process.sentinel)]
        wait(
            sources if self._wakeup is None else [*sources, self._wakeup],
            timeout=max(0.0, min([timeout, *limits])),
        )
        events: list[Started | Ended] = []
        for slot, worker in busy.items():
            events.extend(self._hear(slot, worker))
        return events

    def close(self) -> None:
        """Kill the workers, with the jobs that they have."""
        for slot in range(len(self._workers)):
            self._kill(slot)

    def _hear(self, slot: int, worker: _Worker) -> list[Started | Ended]:
        events: list[Started | Ended] = []
        job = worker.job
        assert job is not None
        try:
            while worker.connection.poll():
                kind, *content = worker.connection.recv()
                if kind == "broken":
                    raise TrainingError(
                        f"the workers of the sweep cannot start: {content[0]}",
                        where=self._log_dir,
                        fix="see the log there.",
                    )
                if kind == "started":
                    worker.started = time.monotonic()
                    events.append(Started(job, content[0]))
                else:
                    outcome: Outcome = content[0]
                    worker.job = None
                    if not outcome.clean:
                        self._kill(slot)
                    return [*events, Ended(job, outcome)]
        except (EOFError, OSError):
            reason = self._death(worker)
            self._kill(slot)
            return [*events, Ended(job, failed(reason, _since(worker)))]
        if self._seconds_left(worker) <= 0:
            self._kill(slot)
            reason = f"it ran over the time limit of {self._timeout:g} s."
            return [*events, Ended(job, failed(reason, _since(worker)))]
        return events

    def _death(self, worker: _Worker) -> str:
        worker.process.join(_END_S)
        code = worker.process.exitcode
        log_file = self._log_dir.name
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            hint = " (often: the machine's memory was exhausted)" if name == "SIGKILL" else ""
            return f"its process was ended by {name}{hint}; see {log_file}/."
        return f"its process ended with exit code {code}; see {log_file}/."

    def _seconds_left(self, worker: _Worker) -> float:
        if self._timeout is None or worker.started is None:
            return float("inf")
        return worker.started + self._timeout - time.monotonic()

    def _start(self, slot: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        log_file = self._log_dir / f"{self._name}_{slot}.log"
        # Not a daemon: its data loaders have processes of their own.
        process = context.Process(
            target=serve, args=(there, self._payload, str(log_file)), name=f"sweep worker {slot}"
        )
        given = self._environment(slot)
        before = {name: os.environ.get(name) for name in given}
        os.environ.update(given)
        signals = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        there.close()
        return _Worker(process, here)

    def _environment(self, slot: int) -> dict[str, str]:
        """Read by torch when it is imported, so it has to be there before."""
        given: dict[str, str] = {}
        if self._gpus:
            given["CUDA_VISIBLE_DEVICES"] = str(self._gpus[slot % len(self._gpus)])
        if len(self._workers) > 1 and _THREADS not in os.environ:
            cores = len(os.sched_getaffinity(0))
            given[_THREADS] = str(max(1, cores // len(self._workers)))
        return given

    def _kill(self, slot: int) -> None:
        worker, self._workers[slot] = self._workers[slot], None
        if worker is None:
            return
        worker.connection.close()
        process = worker.process
        assert process.pid is not None
        try:
            os.killpg(process.pid, signal.SIGKILL)  # with what it has started
        except ProcessLookupError:  # it is gone, or has not made its group yet
            process.kill()
        process.join()


def _since(worker: _Worker) -> float | None:
    return None if worker.started is None else time.monotonic() - worker.started
