"""Scans are prepared while others are scored: in order, in bounded memory, faults included."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covidlit.arguments import n_workers
from covidlit.cohort.scan_sources import ScanSource, find_scans
from covidlit.deploy.preparation import coverage_note, prepare_ahead
from covidlit.dicom import Checks
from covidlit.errors import ConfigError, CovidlitError
from covidlit.preprocess import Geometry, prepare_scan
from covidlit.preprocess.backends import run_in_parallel
from covidlit.scans.scan import Scan

GEOMETRY = Geometry((20.0, 24.0, 24.0), (16, 16, 16))


def _scan(number: int) -> Scan:
    hu = np.full((16, 16, 16), number, np.int16)
    affine = np.array([[0, 0, 24, 0], [0, 24, 0, 0], [20, 0, 0, 0], [0, 0, 0, 1]], float)
    return Scan(hu, affine)


def _sources(read: Callable[[int], Scan], n: int) -> list[ScanSource]:
    return [ScanSource("", str(k), read=partial(read, k)) for k in range(n)]


def test_the_next_scan_is_read_while_one_is_scored() -> None:
    begun = [threading.Event() for _ in range(4)]

    def read(number: int) -> Scan:
        begun[number].set()
        return _scan(number)

    for number, (source, one) in enumerate(prepare_ahead(_sources(read, 4), GEOMETRY)):
        assert source.path == str(number)
        assert one.prepared is not None
        assert (one.prepared.array == number).any()
        if number < 3:
            assert begun[number + 1].wait(timeout=250)  # with this scan still in our hands


@pytest.mark.parametrize(("ahead", "limit"), [(1, 2), (3, 4)])
def test_no_more_are_prepared_than_may_wait(ahead: int, limit: int) -> None:
    read_so_far = 0

    def read(number: int) -> Scan:
        nonlocal read_so_far
        read_so_far += 1
        return _scan(number)

    idle = threading.Event()
    for taken, _ in enumerate(prepare_ahead(_sources(read, 12), GEOMETRY, ahead=ahead), start=1):
        while read_so_far < min(12, taken + limit - 1):
            idle.wait(0.01)  # until the suite's own time limit
        idle.wait(0.02)  # time to run too far ahead
        assert read_so_far <= taken + limit - 1
    assert read_so_far == 12


def test_who_stops_early_does_not_wait_for_the_rest() -> None:
    seen: list[int] = []

    def read(number: int) -> Scan:
        seen.append(number)
        return _scan(number)

    ahead = prepare_ahead(_sources(read, 50), GEOMETRY)
    next(ahead)
    ahead.close()
    assert len(seen) <= 3
    assert threading.active_count() < 20


def test_the_source_volume_is_there_where_it_is_asked_for() -> None:
    (_, without), (_, also) = prepare_ahead(_sources(_scan, 2), GEOMETRY)
    assert without.scan is None
    assert also.scan is None
    for number, (_, one) in enumerate(prepare_ahead(_sources(_scan, 2), GEOMETRY, keep_scan=True)):
        assert one.scan is not None
        assert (one.scan.hu == number).all()


def test_processes_give_the_same_in_the_same_order(scans: Path) -> None:
    sources = find_scans(scans, Checks())
    sources.insert(2, ScanSource("", "refused", reason="why"))
    found = list(prepare_ahead(sources, GEOMETRY, n_jobs=2))
    assert [source for source, _ in found] == sources
    for source, one in found:
        if source.read is None:
            assert (one.prepared, one.reason) == (None, "why")
        else:
            assert one.prepared is not None
            assert set(one.seconds) == {"read", "prepare"}
            expected = prepare_scan(source.read(), GEOMETRY)
            np.testing.assert_array_equal(one.prepared.array, expected.array)


def test_there_are_no_more_processes_than_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def pool(n_workers: int, **_: Any) -> ThreadPoolExecutor:
        started.append(n_workers)
        return ThreadPoolExecutor(1)

    monkeypatch.setattr("joblib.externals.loky.ProcessPoolExecutor", pool)
    assert len(list(prepare_ahead(_sources(_scan, 3), GEOMETRY, n_jobs=n_workers(-1) + 3))) == 3
    assert started == [3]


@pytest.mark.parametrize("n_jobs", [10**6, 10**30])
def test_there_are_no_more_processes_than_the_machine_bears(n_jobs: int) -> None:
    with pytest.raises(ConfigError, match=r"n_jobs: must be at most \d+ on this machine"):
        next(prepare_ahead(_sources(_scan, 3), GEOMETRY, n_jobs=n_jobs))
    with pytest.raises(ConfigError, match=r"n_jobs: must be at most \d+ on this machine"):
        next(run_in_parallel(str, [1, 2], n_jobs=n_jobs))


def test_a_process_that_dies_costs_its_own_scan(scans: Path) -> None:
    good = find_scans(scans, Checks())[:3]
    sources = [good[0], ScanSource("", "deadly.nii", read=partial(os._exit, 1)), *good[1:]]
    found = list(prepare_ahead(sources, GEOMETRY, n_jobs=2))
    assert [source for source, _ in found] == sources
    assert [one.prepared is None for _, one in found] == [False, True, False, False]
    assert "was killed" in found[1][1].reason


def test_no_jobs_are_refused() -> None:
    with pytest.raises(ConfigError, match="n_jobs"):
        list(prepare_ahead([], GEOMETRY, n_jobs=0))


def test_part_of_a_chest_is_noted() -> None:
    whole = _scan(0)  # 16 slices of 20 mm: all that the network sees
    assert coverage_note(whole, GEOMETRY) == ()
    (note,) = coverage_note(Scan(whole.hu[:5], whole.affine), GEOMETRY)
    assert "covers 100 mm" in note
    assert "of 320 mm" in note
    (_, outcome), *_ = prepare_ahead(
        [ScanSource("", "short", read=lambda: Scan(whole.hu[:5], whole.affine))], GEOMETRY
    )
    assert note in outcome.notes
    assert outcome.prepared is not None


def test_two_workers_of_dask_give_the_same_in_the_same_order(scans: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="covidlit[dask] is not installed")
    sources = find_scans(scans, Checks())
    serial = list(prepare_ahead(sources, GEOMETRY))
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        found = list(prepare_ahead(sources, GEOMETRY, n_jobs=-1, backend="dask"))
        (dead,) = [ScanSource("", "deadly.nii", read=partial(os._exit, 1))]
        with pytest.raises(CovidlitError, match=r"deadly.nii: .*was killed"):
            list(prepare_ahead([dead], GEOMETRY, backend="dask"))
    assert [source for source, _ in found] == sources
    for (_, one), (_, expected) in zip(found, serial, strict=True):
        assert one.reason == expected.reason
        if expected.prepared is not None:
            assert one.prepared is not None
            np.testing.assert_array_equal(one.prepared.array, expected.prepared.array)


def test_a_backend_that_cannot_predict_is_said() -> None:
    with pytest.raises(ConfigError, match="no backend 'ray'"):
        list(prepare_ahead([], GEOMETRY, backend="ray"))
