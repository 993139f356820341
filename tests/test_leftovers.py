"""What killed processes leave of their files and folders is removed by the next one."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

from covidlit.deploy.folders import folder_beside, swap_folder
from covidlit.files import atomic_path
from covidlit.tables import write_table

TABLE = pd.DataFrame({"a": [1]})


def _old(path: Path) -> None:
    os.utime(path, (1_000_000_000, 1_000_000_000))


def test_the_part_of_a_killed_process_goes_with_the_next_table(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with atomic_path(tmp_path / "manifest.csv") as part:
            part.write_text("half")
            os._exit(0)  # as by a kill: nothing is cleaned up
    os.waitpid(child, 0)
    (left,) = tmp_path.iterdir()
    _old(left)
    write_table(TABLE, tmp_path / "other.csv")
    assert left.exists()
    write_table(TABLE, tmp_path / "manifest.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.csv", "other.csv"]


def test_the_part_of_a_running_process_stays(tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="no locks on this system")
    with atomic_path(tmp_path / "manifest.csv") as part:
        part.write_text("whole")
        _old(part)
        write_table(TABLE, tmp_path / "manifest.csv")
        assert part.exists()
    assert (tmp_path / "manifest.csv").read_text() == "whole"


def test_the_folder_of_a_killed_process_goes_with_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "best"
    child = os.fork()
    if child == 0:
        with folder_beside(folder) as own:
            (own / "model.bin").write_text("half")
            os._exit(0)
    os.waitpid(child, 0)
    (left,) = tmp_path.iterdir()
    _old(left)
    with folder_beside(folder) as own:
        _old(own)
        with folder_beside(folder):  # of another process that runs
            assert own.exists()
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_hidden_files_and_folders_of_the_user_stay(tmp_path: Path) -> None:
    kept = [tmp_path / ".scores.csv.old.partial.csv", tmp_path / ".scores.csv.part"]
    folders = [tmp_path / ".model.backup", tmp_path / ".model.2024.part"]
    for path in kept:
        path.touch()
        _old(path)
    for path in folders:
        path.mkdir()
        (path / "own.txt").touch()
        _old(path)
    write_table(TABLE, tmp_path / "scores.csv")
    with folder_beside(tmp_path / "model"):
        pass
    assert all(path.exists() for path in kept)
    assert all((path / "own.txt").exists() for path in folders)


@pytest.mark.skipif(sys.platform != "linux", reason="the step is Linux's")
def test_a_folder_is_replaced_without_a_moment_without_it(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    looks: list[bool] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            looks.append(folder.is_dir())

    with folder_beside(folder) as own:
        (own / "export").mkdir()
        (own / "export" / "model.json").write_text("0")
        swap_folder(own / "export", folder)
    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(1, 200):
        with folder_beside(folder) as own:
            (own / "export").mkdir()
            (own / "export" / "model.json").write_text(str(number))
            swap_folder(own / "export", folder)
    stop.set()
    watcher.join()
    assert len(looks) > 100
    assert all(looks)
    assert (folder / "model.json").read_text() == "199"
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
