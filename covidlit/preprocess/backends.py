"""Run a function over many tasks with joblib: on this machine, or on a Dask or Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import joblib
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from covidlit.arguments import n_workers, require_n_jobs
from covidlit.errors import ConfigError
from covidlit.preprocess.workers import run_in_worker

Task = TypeVar("Task")
Result = TypeVar("Result")

BACKENDS = ("loky", "threading", "dask", "ray")
LOST = "the process that read and prepared it was killed, perhaps for want of memory"
"""Why a scan is refused whose worker died over it."""


def run_in_parallel(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    n_jobs: int = -1,
    backend: str = "loky",
    lost: Callable[[Task], Result] | None = None,
) -> Iterator[Result]:
    """Yield the result of every task as it is done, in any order.

    Workers use one thread each for BLAS and OpenMP, so that n_jobs is the number of busy cores.

    Args:
        function: importable by its name, so that other processes can run it.
        tasks: its arguments; they are pickled.
        n_jobs: workers; -1: one per core. A Dask or Ray cluster decides for itself.
        backend: "loky" (processes), "threading", "dask" (the current distributed.Client, else the
            scheduler of Dask's configuration, else one on this machine) or "ray" (the cluster of
            RAY_ADDRESS, else one on this machine).
        lost: the result of a task whose worker process was killed over it (by the system for want
            of memory, for example), with "loky". None: that ends the whole.

    Raises:
        ConfigError: an unknown backend, or one that is not installed; `n_jobs` is 0 or, on
            this machine, more than it bears.
    """
    require_n_jobs(n_jobs)
    if backend not in BACKENDS:
        raise ConfigError(
            f"there is no backend {backend!r}.", where="backend", fix=f"use one of {BACKENDS}."
        )
    if not tasks:
        return
    if backend in ("loky", "threading"):
        n_jobs = n_workers(n_jobs)
    with ExitStack() as stack:
        start_cluster(backend, n_jobs, stack)
        limit = {"inner_max_num_threads": 1} if backend == "loky" and n_jobs != 1 else {}
        stack.enter_context(joblib.parallel_config(backend, n_jobs=n_jobs, **limit))
        call = joblib.delayed(function)
        if backend == "ray":
            # joblib's Ray backend returns whole lists only: hand it a few tasks at a time.
            for some in _chunks(tasks, 4 * max(1, joblib.effective_n_jobs(n_jobs))):
                yield from joblib.Parallel(batch_size=1)(call(task) for task in some)
            return
        if backend == "loky" and joblib.effective_n_jobs(n_jobs) > 1:
            yield from _in_processes(function, tasks, joblib.effective_n_jobs(n_jobs), lost)
            return
        parallel = joblib.Parallel(batch_size=1, return_as="generator_unordered")
        yield from parallel(call(task) for task in tasks)


def _in_processes(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    n_jobs: int,
    lost: Callable[[Task], Result] | None,
) -> Iterator[Result]:
    """With loky's workers, which end with this process; one that dies costs its own task."""
    waiting = dict(enumerate(tasks))
    call = joblib.delayed(_numbered)
    while waiting:
        parallel = joblib.Parallel(batch_size=1, return_as="generator_unordered")
        numbered = [(number, function, os.getpid(), task) for number, task in waiting.items()]
        try:
            for number, result in parallel(call(*one) for one in numbered):
                del waiting[number]
                yield result
        except TerminatedWorkerError:
            if lost is None:
                raise
            # joblib sends out twice as many tasks as there are workers: one of these it was.
            for number, task in list(waiting.items())[: 2 * n_jobs]:
                del waiting[number]
                yield alone(function, task, lost)


def alone(function: Callable[[Task], Result], task: Task, lost: Callable[[Task], Result]) -> Result:
    """The result of one task in a process of its own; that of `lost` where it dies over it."""
    with ProcessPoolExecutor(1) as pool:
        try:
            result: Result = pool.submit(run_in_worker, function, os.getpid(), task).result()
        except TerminatedWorkerError:
            return lost(task)
    return result


def _numbered(
    number: int, function: Callable[[Task], Result], parent: int, task: Task
) -> tuple[int, Result]:
    return number, run_in_worker(function, parent, task)


def start_cluster(backend: str, n_jobs: int, stack: ExitStack) -> None:
    """Make sure that the backend's cluster is there; what is started here ends with `stack`."""
    if backend == "dask":
        try:
            import distributed
        except ImportError as error:
            raise _not_installed(backend) from error
        try:
            distributed.get_client()
        except ValueError:
            import dask

            if dask.config.get("scheduler-address", None):
                stack.enter_context(distributed.Client())
                return

            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=n_workers(n_jobs), threads_per_worker=1, dashboard_address=None
                )
            )
            stack.enter_context(distributed.Client(cluster))
    elif backend == "ray":
        try:
            import ray
            from ray.util.joblib import register_ray
        except ImportError as error:
            raise _not_installed(backend) from error
        register_ray()
        if not ray.is_initialized():
            # Joins the cluster of RAY_ADDRESS where there is one.
            local = "RAY_ADDRESS" not in os.environ and n_jobs > 0
            ray.init(
                num_cpus=n_workers(n_jobs) if local else None,
                include_dashboard=None if not local else False,
                log_to_driver=False,
                configure_logging=False,
            )
            stack.callback(ray.shutdown)


def _not_installed(backend: str) -> ConfigError:
    return ConfigError(
        f"the backend {backend!r} is not installed.",
        where="backend",
        fix=f"pip install 'covidlit[{backend}]', or use backend=loky.",
    )


def _chunks(tasks: Sequence[Task], size: int) -> Iterable[Sequence[Any]]:
    for start in range(0, len(tasks), size):
        yield tasks[start : start + size]
