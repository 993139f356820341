"""What is kept for the next process lies where only its user can write."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from covidlit.deploy.kept import VARIABLE, kept_folder


@pytest.fixture(params=["given", "default"])
def around(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all that is kept, not made yet."""
    if request.param == "given":
        monkeypatch.setenv(VARIABLE, str(tmp_path / "kept"))
        return tmp_path / "kept"
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "covidlit"


def test_it_is_made_for_its_user_alone_whatever_the_umask(around: Path) -> None:
    before = os.umask(0)
    try:
        found = kept_folder("graphs")
    finally:
        os.umask(before)
    assert found == around / "graphs"
    assert [stat.S_IMODE(each.stat().st_mode) for each in (around, found)] == [0o700] * 2


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
@pytest.mark.parametrize("name", ["", "graphs"])
def test_where_others_may_write_nothing_is_kept(around: Path, name: str, mode: int) -> None:
    assert kept_folder("graphs") is not None
    (around / name).chmod(mode)
    assert kept_folder("graphs") is None


@pytest.mark.parametrize("name", ["", "graphs"])
def test_a_folder_of_another_user_is_not_taken(
    around: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept_folder("graphs") is not None
    others = (around / name).stat()
    own_stat = Path.stat

    def at(path: Path, **arguments: bool) -> os.stat_result:
        found = own_stat(path, **arguments)
        if os.path.samestat(found, others):
            return os.stat_result([*found[:4], found.st_uid + 1, *found[5:10]])
        return found

    monkeypatch.setattr(Path, "stat", at)
    assert kept_folder("graphs") is None


def test_an_empty_name_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    assert kept_folder("graphs") is None
