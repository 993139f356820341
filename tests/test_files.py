import errno
import json
import os
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidlit.errors import CovidlitError
from covidlit.files import (
    atomic_path,
    check_writable,
    fingerprint,
    keep_permissions,
    require_path,
    write_json,
    write_text,
)
from covidlit.scans.images import write_nifti
from covidlit.tables import write_table


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_written_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    assert write_json(path, {"a": [1, 2.5, None]}) == path
    assert json.loads(path.read_text()) == {"a": [1, 2.5, None]}
    assert list(path.parent.iterdir()) == [path]
    write_text(path, "ä")
    assert path.read_bytes() == "ä".encode()


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.txt", "old")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match=r"stopped"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o077])
def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "new" / "a.json", "x")
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "new" / "a.parquet")
        write_nifti(np.zeros((2, 2, 2), np.uint8), np.eye(4), tmp_path / "new" / "a.nii.gz")
        (tmp_path / "plain").mkdir()
        (tmp_path / "plain" / "a").write_text("x")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "new") == mode_of(tmp_path / "plain") == 0o777 & ~umask
    for name in ("a.json", "a.parquet", "a.nii.gz"):
        assert mode_of(tmp_path / "new" / name) == mode_of(tmp_path / "plain" / "a")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_a_file_that_is_there_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    for name in ("a.json", "a.csv", "a.parquet", "a.nii.gz"):
        (tmp_path / name).write_text("old")
        (tmp_path / name).chmod(mode)
    with atomic_path(tmp_path / "a.json") as temporary:
        temporary.write_text("new")
        assert mode_of(temporary) & ~mode in (0, 0o200)  # nobody else reads it meanwhile
    write_table(pd.DataFrame({"a": [1]}), tmp_path / "a.csv")
    write_table(pd.DataFrame({"a": [1]}), tmp_path / "a.parquet")
    write_nifti(np.zeros((2, 2, 2), np.uint8), np.eye(4), tmp_path / "a.nii.gz")
    assert [mode_of(path) for path in sorted(tmp_path.iterdir())] == [mode] * 4
    assert all(path.read_bytes() != b"old" for path in tmp_path.iterdir())


def test_a_folder_that_is_replaced_hands_its_permissions_on(tmp_path: Path) -> None:
    for name in ("old", "new"):
        write_text(tmp_path / name / "a", name)
        write_text(tmp_path / name / f"only {name}", name)
    (tmp_path / "old").chmod(0o700)
    (tmp_path / "old" / "a").chmod(0o600)
    keep_permissions(tmp_path / "new", tmp_path / "old")
    assert mode_of(tmp_path / "new") == 0o700
    assert mode_of(tmp_path / "new" / "a") == 0o600
    assert mode_of(tmp_path / "new" / "only new") == mode_of(tmp_path / "old" / "only old")


def test_a_place_is_judged_without_touching_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(tmp_path / "new" / "deep" / "a.csv")
    monkeypatch.chdir(tmp_path)
    check_writable("a.csv")
    assert list(tmp_path.iterdir()) == []
    file = write_text(tmp_path / "file", "old")
    check_writable(file)
    assert file.read_text() == "old"
    for path, reason in {tmp_path: "Is a directory", file / "a.csv": "Not a directory"}.items():
        with pytest.raises(CovidlitError, match=f"cannot write: {reason}") as error:
            check_writable(path)
        assert error.value.where == str(path)


def test_a_name_that_is_too_long_is_said_before_anything_is_written(tmp_path: Path) -> None:
    fits = tmp_path / f"{'a' * 200}.csv"
    check_writable(fits)
    write_text(fits, "whole")
    names = ["a" * 300, f"new/{'a' * 300}/b.csv", "a/" * 3000 + "b.csv"]
    for name in (*names, f"{'a' * 245}.csv"):  # the last: with the ending of its unfinished file
        with pytest.raises(CovidlitError, match=r"File name too long\. Fix: choose a shorter name"):
            check_writable(tmp_path / name)
    assert list(tmp_path.iterdir()) == [fits]


def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(CovidlitError, match="Permission denied"):
            check_writable(tmp_path / "a.csv")
    finally:
        tmp_path.chmod(0o700)


def test_a_value_that_json_does_not_know_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"JSON"):
        write_json(tmp_path / "a.json", float("nan"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_full_disk_is_said_and_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, ending: str
) -> None:
    path = tmp_path / f"t.{ending}"
    write_table(pd.DataFrame({"a": [1]}), path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CovidlitError, match=r"the disk is full; nothing was written.*free some"):
        write_table(pd.DataFrame({"a": [2]}), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_while_writing_is_said(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full, the device that is always full")

    def write() -> None:
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.unlink()
            temporary.symlink_to("/dev/full")
            temporary.write_text("x" * 100_000)

    with pytest.raises(CovidlitError, match=r"a.txt: the disk is full"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "")
    with pytest.raises(CovidlitError, match=r"cannot write: .*check the folder"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_fingerprints_follow_the_value_not_the_order() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert fingerprint([1, 2]) != fingerprint([2, 1])
    # SHA-256 of the text [] as any tool gives it.
    assert fingerprint([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


def test_a_file_that_fails_leaves_no_folder_that_was_made_for_it(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for folder in (tmp_path / "new" / "deep", tmp_path / "there"):
        with pytest.raises(KeyError), atomic_path(folder / "file"):
            raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    with atomic_path(tmp_path / "new" / "deep" / "file") as path:
        path.write_text("whole")
    assert (tmp_path / "new" / "deep" / "file").read_text() == "whole"


def test_a_folder_that_another_writer_takes_away_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who fails removes the folder that he made, also where another has just found it there."""
    opened, took = os.open, []

    def late(path: Path, *arguments: int) -> int:
        if not took:
            took.append(path)
            (tmp_path / "new").rmdir()
        return opened(path, *arguments)

    monkeypatch.setattr(os, "open", late)
    with atomic_path(tmp_path / "new" / "file") as path:
        path.write_text("whole")
    assert took
    assert (tmp_path / "new" / "file").read_text() == "whole"


def test_a_path_that_no_system_takes_is_no_path(tmp_path: Path) -> None:
    for name, said in (("none", "there is no such file or folder"), ("n" * 300, "name too long")):
        with pytest.raises(CovidlitError, match=rf"{said}.* Fix: check the path"):
            require_path(tmp_path / name)
