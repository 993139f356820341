"""Loader processes that a machine has no room for are refused before the first batch."""

from __future__ import annotations

from pathlib import Path

import pytest

import covidlit.datamodules.loading as loading
from covidlit.datamodules import VolumeDataModule
from covidlit.datamodules.loader_limits import (
    batches_in_flight,
    check_open_files,
    check_shared_memory,
    free_shared_memory,
)
from covidlit.errors import ConfigError

DOCKER = 64 << 20
ROW = 4 * 64 * 256 * 256  # bytes of a volume of the default size


@pytest.mark.parametrize(
    ("workers", "n_batches", "expected"), [(0, 50, 0), (2, 50, 6), (2, 3, 5), (8, 50, 18)]
)
def test_batches_in_flight(workers: int, n_batches: int, expected: int) -> None:
    assert batches_in_flight(workers, n_batches) == expected


def test_the_defaults_do_not_fit_into_dockers_shared_memory() -> None:
    with pytest.raises(ConfigError) as error:
        check_shared_memory(10 * ROW, 2, 100, free=DOCKER)
    said = str(error.value)
    # 6 batches of 10 volumes of 16.8 MB, of 1.25 GiB with some room.
    assert "6 batches of 167.8 MB" in said
    assert "1006.7 MB, and it has 67.1 MB" in said
    assert "data.num_workers=0" in said
    assert "--shm-size=2g" in said


def test_what_fits_is_not_refused() -> None:
    check_shared_memory(10 * ROW, 0, 100, free=DOCKER)
    check_shared_memory(10 * ROW, 2, 100, free=2 << 30)
    check_shared_memory(10 * ROW, 2, 100, free=None)
    with pytest.raises(ConfigError):
        check_shared_memory(10 * ROW, 2, 100, free=2 << 30, processes=4)


def test_few_open_files_are_refused_where_processes_load() -> None:
    check_open_files(0, limit=24)
    check_open_files(2, limit=256)
    check_open_files(2, limit=None)
    with pytest.raises(ConfigError, match=r"may open 24\. Fix: allow more \(ulimit -n 1024\)"):
        check_open_files(2, limit=24)


def test_this_machine_says_what_it_has() -> None:
    free = free_shared_memory()
    assert (free is None) != Path("/dev/shm").is_dir()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_datamodule_refuses_it_before_the_first_batch(
    tiny_data: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    from covidlit.cohort.splits import centre_held_out

    monkeypatch.setattr(loading, "free_shared_memory", lambda: 100_000)
    data = VolumeDataModule(
        (tiny_data / "manifest_path").read_text(),
        tiny_data / "cache",
        lambda manifest: centre_held_out(manifest, test_centres=["centre_4"]),
        {"spacing": (20.0, 24.0, 24.0), "size": (16, 16, 16)},
        batch_size=4,
        num_workers=workers,
        n_jobs=1,
    )
    if workers == 0:
        assert len(data.train_dataloader()) > 0
        return
    with pytest.raises(ConfigError, match=r"num_workers=2: .*/dev/shm"):
        data.train_dataloader()
