"""Prepare scans ahead of the network that scores them, in their order and in bounded memory."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

from covidlit.arguments import n_workers, require_n_jobs
from covidlit.cohort.scan_reader import lungs_of_refused
from covidlit.cohort.scan_sources import ScanSource, refusal_reason
from covidlit.errors import ConfigError, CovidlitError
from covidlit.preprocess.geometry import Geometry, Prepared, prepare_scan
from covidlit.preprocess.workers import end_with
from covidlit.scans.scan import Scan

BACKENDS = ("loky", "dask")

LEAST_COVERED = 0.5
"""Share of the network's input, from feet to head, below which a scan gets a note (our limit)."""


@dataclass(frozen=True)
class PreparedSource:
    """One scan as the network takes it, or the reason why there is none.

    Args:
        prepared: None where the scan is refused.
        scan: the source volume, where it was asked for.
        reason: why it is refused.
        notes: what was done to it on the way in, such as a check that was overridden.
        lungs_in_view_percent: how much of both lungs the scan shows; None where not known.
        seconds: of work: "read" (and check) and "prepare".
    """

    prepared: Prepared | None = None
    scan: Scan | None = None
    reason: str = ""
    notes: Sequence[str] = ()
    lungs_in_view_percent: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)


def check_preparing(n_jobs: int, backend: str) -> None:
    """Refuse arguments of `prepare_ahead` that are out of their range, before anything is done.

    Raises:
        ConfigError: `n_jobs` is 0 or, on this machine, more than it bears; an unknown backend.
    """
    if backend not in BACKENDS:
        raise ConfigError(
            f"there is no backend {backend!r} for predicting.",
            where="backend",
            fix=f"use one of {BACKENDS}.",
        )
    if backend == "dask":  # the cluster has cores of its own
        require_n_jobs(n_jobs)
    else:
        n_workers(n_jobs)


def prepare_ahead(
    sources: Iterable[ScanSource],
    geometry: Geometry,
    *,
    n_jobs: int = 1,
    ahead: int = 1,
    keep_scan: bool = False,
    backend: str = "loky",
) -> Generator[tuple[ScanSource, PreparedSource]]:
    """Yield every source with its prepared volume, in order, while later ones are being prepared.

    Memory: at most `n_jobs` source volumes, and `n_jobs + ahead` prepared ones that were not taken
    yet; with `keep_scan` these have their source volumes with them.

    Args:
        sources: what `find_scans` found.
        geometry: target spacing and size.
        n_jobs: scans prepared at a time: 1 in a thread of this process, more in processes of their
            own, because the decoders of compressed pixels hold Python's lock; -1: one per core, of
            the cluster with "dask"; see `covidlit.arguments.n_workers`.
        ahead: prepared scans that may wait beyond those being prepared.
        keep_scan: yield the source volume as well.
        backend: "loky" (this machine) or "dask" (the current distributed.Client, else the scheduler
            of Dask's configuration, else workers on this machine; they must see the same paths).

    Raises:
        ConfigError: see `check_preparing`; or a backend that is not installed.
        CovidlitError: a worker process of Dask died. One of loky costs its own scan alone.
    """
    check_preparing(n_jobs, backend)
    left, tried = deque(sources), 0
    while left:
        with ExitStack() as stack:
            pool, n_jobs = _pool(n_jobs, backend, len(left), stack)
            # After a death, those that it may be about are prepared one by one.
            most = n_jobs + ahead
            try:
                for done in _prepare_in(pool, list(left), geometry, most, keep_scan):
                    left.popleft()
                    yield done
            except BrokenExecutor as error:
                if backend != "loky":
                    raise _killed(left[0]) from error
                tried = most
        while left and tried:
            from covidlit.preprocess.backends import alone

            source, tried = left.popleft(), tried - 1
            yield source, alone(_PrepareSource(geometry, keep_scan), source, _lost)


@dataclass(frozen=True)
class _PrepareSource:
    geometry: Geometry
    keep_scan: bool

    def __call__(self, source: ScanSource) -> PreparedSource:
        return prepare_source(source, self.geometry, self.keep_scan)


def _lost(source: ScanSource) -> PreparedSource:
    from covidlit.preprocess.backends import LOST

    return PreparedSource(reason=f"{LOST}.")


def _prepare_in(
    pool: Executor, sources: Iterable[ScanSource], geometry: Geometry, most: int, keep_scan: bool
) -> Generator[tuple[ScanSource, PreparedSource]]:
    waiting: deque[tuple[ScanSource, Future[PreparedSource]]] = deque()
    task = _PrepareSource(geometry, keep_scan)
    try:
        for source in sources:
            waiting.append((source, pool.submit(task, source)))
            if len(waiting) == most:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)
    finally:
        for _, future in waiting:
            future.cancel()
        pool.shutdown(wait=True)


def prepare_source(source: ScanSource, geometry: Geometry, keep_scan: bool) -> PreparedSource:
    """Read and prepare one scan; a scan that cannot be used is an outcome, not an error."""
    if source.read is None:
        return PreparedSource(reason=source.reason)
    seconds: dict[str, float] = {}
    step, start = "read", time.perf_counter()
    prepared = scan = None
    reason, lungs = "", None
    try:
        scan = source.read()
        lungs = scan.lungs_in_view_percent
        seconds[step] = time.perf_counter() - start
        step, start = "prepare", time.perf_counter()
        prepared = prepare_scan(scan, geometry)
    except Exception as error:
        lungs = lungs_of_refused(error) if scan is None else lungs
        reason = refusal_reason(error)  # one odd file must not cost the scores of all others
    seconds[step] = time.perf_counter() - start
    kept = scan if keep_scan and prepared else None
    notes = (*scan.notes, *coverage_note(scan, geometry)) if scan is not None else ()
    return PreparedSource(prepared, kept, reason, notes, lungs, seconds)


def coverage_note(scan: Scan, geometry: Geometry) -> tuple[str, ...]:
    """A note on a scan that is much shorter than what the network sees; else none.

    A network's input holds a whole chest, and what a scan lacks of it is filled with air. A score
    of part of a chest is given all the same, because only the user knows what is enough.
    """
    seen = scan.hu.shape[0] * scan.spacing[0]
    wanted = geometry.size[0] * geometry.spacing[0]
    if seen >= LEAST_COVERED * wanted:
        return ()
    return (
        f"covers {seen:.0f} mm from feet to head, of {wanted:.0f} mm that the network sees: "
        "perhaps not the whole chest",
    )


def _next(
    waiting: deque[tuple[ScanSource, Future[PreparedSource]]],
) -> tuple[ScanSource, PreparedSource]:
    source, future = waiting.popleft()
    try:
        return source, future.result()
    except Exception as error:
        # Of Dask by its name, because it is an extra.
        if type(error).__name__ == "KilledWorker":
            raise _killed(source) from error
        raise


def _killed(source: ScanSource) -> CovidlitError:
    return CovidlitError(
        "a process that prepares scans was killed, perhaps for want of memory.",
        where=source.path,
        fix="use fewer jobs.",
    )


def _pool(n_jobs: int, backend: str, n_scans: int, stack: ExitStack) -> tuple[Executor, int]:
    """The executor and how many scans it works on at a time; a cluster started here ends with
    `stack`.

    An executor of the cluster instead of joblib over it: joblib sends out scans however few of
    the prepared ones were taken, so that a cohort would pile up in memory.
    """
    # joblib takes its time, and nothing here needs it where one thread prepares.
    if backend == "dask":
        from covidlit.preprocess.backends import start_cluster

        start_cluster("dask", n_jobs, stack)
        import distributed

        client = distributed.get_client()
        cluster: Executor = client.get_executor(pure=False)
        return cluster, sum(client.nthreads().values()) if n_jobs < 0 else n_jobs
    n_jobs = n_workers(n_jobs)
    if n_jobs == 1:
        return ThreadPoolExecutor(1), 1

    from joblib.externals.loky import ProcessPoolExecutor

    # Starts fresh interpreters that do not run the caller's script again, on every system.
    # They end with this process, however it ends, also before their first scan.
    # loky starts all of its workers at once: those without a scan would only take memory.
    n_jobs = min(n_jobs, n_scans)
    executor: Executor = ProcessPoolExecutor(n_jobs, initializer=end_with, initargs=(os.getpid(),))
    return executor, n_jobs
