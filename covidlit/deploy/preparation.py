"""Prepare scans ahead of the network that scores them, in their order and in bounded memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from covidlit.arguments import n_cores, require_n_jobs
from covidlit.errors import CovidlitError
from covidlit.preprocess.geometry import Geometry, Prepared, prepare_scan
from covidlit.scan import Scan
from covidlit.scan_sources import ScanSource, refusal_reason

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
        seconds: of work: "read" (and check) and "prepare".
    """

    prepared: Prepared | None = None
    scan: Scan | None = None
    reason: str = ""
    notes: Sequence[str] = ()
    seconds: dict[str, float] = field(default_factory=dict)


def prepare_ahead(
    sources: Iterable[ScanSource],
    geometry: Geometry,
    *,
    n_jobs: int = 1,
    ahead: int = 1,
    keep_scan: bool = False,
) -> Generator[tuple[ScanSource, PreparedSource]]:
    """Yield every source with its prepared volume, in order, while later ones are being prepared.

    Memory: at most `n_jobs` source volumes, and `n_jobs + ahead` prepared ones that were not taken
    yet; with `keep_scan` these have their source volumes with them.

    Args:
        sources: what `find_scans` found.
        geometry: target spacing and size.
        n_jobs: scans prepared at a time: 1 in a thread of this process, more in processes of their
            own, because the decoders of compressed pixels hold Python's lock; -1: one per core.
        ahead: prepared scans that may wait beyond those being prepared.
        keep_scan: yield the source volume as well.

    Raises:
        ConfigError: `n_jobs` is 0.
        CovidlitError: a worker process died.
    """
    require_n_jobs(n_jobs)
    n_jobs = n_cores() if n_jobs < 0 else n_jobs
    pool = _pool(n_jobs)
    waiting: deque[tuple[ScanSource, Future[PreparedSource]]] = deque()
    try:
        for source in sources:
            waiting.append((source, pool.submit(prepare_source, source, geometry, keep_scan)))
            if len(waiting) == n_jobs + ahead:
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
    reason = ""
    try:
        scan = source.read()
        seconds[step] = time.perf_counter() - start
        step, start = "prepare", time.perf_counter()
        prepared = prepare_scan(scan, geometry)
    except Exception as error:
        reason = refusal_reason(error)  # one odd file must not cost the scores of all others
    seconds[step] = time.perf_counter() - start
    kept = scan if keep_scan and prepared else None
    notes = (*scan.notes, *coverage_note(scan, geometry)) if scan is not None else ()
    return PreparedSource(prepared, kept, reason, notes, seconds)


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
    except BrokenExecutor as error:
        raise CovidlitError(
            "a process that prepares scans was killed, perhaps for want of memory.",
            where=source.path,
            fix="use fewer jobs.",
        ) from error


def _pool(n_jobs: int) -> Executor:
    if n_jobs == 1:
        return ThreadPoolExecutor(1)
    from joblib.externals.loky import ProcessPoolExecutor

    # Starts fresh interpreters that do not run the caller's script again, on every system.
    executor: Executor = ProcessPoolExecutor(n_jobs)
    return executor
