"""Backups made while people work: whole, of one moment, refused where a byte is not right."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from disease_world import own_disease

from covidlit.errors import CovidlitError
from covidlit.platform.folder import VARIABLE, PlatformFolder
from covidlit.platform.operation import containers
from covidlit.platform.operation.backing_up import backup
from covidlit.platform.operation.restoring import check_backup, restore

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
COVIDLIT = [sys.executable, "-m", "covidlit", "platform"]


def _environment(root: Path) -> dict[str, str]:
    paths = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    own = {VARIABLE: str(root), "PYTHONPATH": paths}
    own["COVIDLIT_PLATFORM_PASSWORD"] = "a long enough phrase"
    return {k: v for k, v in os.environ.items() if not k.startswith("DJANGO")} | own


def _told(root: Path) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "busy_platform.py"), "told"]
    found: dict[str, Any] = json.loads(subprocess.check_output(command, env=_environment(root)))
    return found


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformFolder]:
    """A platform on which somebody works all the time."""
    root = tmp_path_factory.mktemp("busy") / "platform"
    subprocess.run(
        [*COVIDLIT, "init", str(root), "--admin", "boss", "--centre", "north"], check=True,
        env=_environment(root), capture_output=True,
    )  # fmt: skip
    own = subprocess.Popen(
        [sys.executable, str(HERE / "busy_platform.py"), "write"], env=_environment(root),
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert own.stdout is not None
    for _ in range(5):
        assert own.stdout.readline()
    yield PlatformFolder(root)
    assert own.poll() is None
    own.kill()
    own.wait()


@pytest.fixture(scope="module")
def kept(busy: PlatformFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it, as a folder."""
    out = tmp_path_factory.mktemp("backups") / "kept"
    backup(busy, out)
    return out


@pytest.fixture
def own(kept: Path, tmp_path: Path) -> Path:
    """A copy of that backup to spoil."""
    shutil.copytree(kept, tmp_path / "own")
    return tmp_path / "own"


@pytest.mark.parametrize("name", ["folder", "file.tar"])
def test_what_is_restored_is_whole_though_it_was_being_worked_on(
    name: str, busy: PlatformFolder, tmp_path: Path
) -> None:
    out, target = tmp_path / name, tmp_path / "new"
    received = busy.root / "received/batch/1.dcm"
    received.parent.mkdir(parents=True, exist_ok=True)
    received.write_bytes(b"by C-STORE")
    own_disease(busy.root)
    about = backup(busy, out)
    assert about.missing == []
    assert out.stat().st_mode & 0o077 == 0
    done = restore(out, target)
    assert done.n_jobs >= 1
    found = _told(target)
    assert found["scans"] >= 5
    assert (found["missing"], found["lost_uploads"], found["broken"]) == ([], [], None)
    assert found["states"] == ["waiting"]
    # A copy does not speak to archives until a person has it do so.
    assert (found["held"], done.n_held) == (["fetch", "send"], 2)
    assert (target / "received/batch/1.dcm").read_bytes() == b"by C-STORE"
    assert PlatformFolder(target).diseases["effusion"].title == "Effusion watch"
    # The patients' pseudonyms go on to be the same, and nobody else reads any of it.
    for key in ("secret.key",):
        assert (target / key).read_bytes() == (busy.root / key).read_bytes()
    assert target.stat().st_mode & 0o077 == 0
    subprocess.run([*COVIDLIT, "verify", str(target)], check=True, env=_environment(target))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_has_not_changed_is_linked_to_the_earlier_backup(
    busy: PlatformFolder, kept: Path, tmp_path: Path
) -> None:
    out = kept.parent / "later"
    backup(busy, out, since=kept)
    check_backup(out)
    before = {path.relative_to(kept): path.stat() for path in kept.glob("scans/**/*.zip")}
    assert before
    for name, about in before.items():
        assert (out / name).stat().st_ino == about.st_ino
    assert (out / "database.sqlite3").stat().st_ino != (kept / "database.sqlite3").stat().st_ino


def test_others_can_check_the_sums(kept: Path) -> None:
    command = ["sha256sum", "--check", "--strict", "--quiet", "files.sha256"]
    subprocess.run(command, cwd=kept, check=True)


def test_a_changed_missing_or_added_file_is_refused_with_nothing_left(
    own: Path, tmp_path: Path
) -> None:
    planes = next(own.glob("scans/**/planes.zip"))
    whole = planes.read_bytes()

    def refused(match: str) -> None:
        for call in (lambda: check_backup(own), lambda: restore(own, tmp_path / "new")):
            with pytest.raises(CovidlitError, match=match):
                call()
        assert [path.name for path in tmp_path.iterdir()] == ["own"]

    planes.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused("planes.zip is not as it was written")
    planes.unlink()
    refused("planes.zip is missing")
    planes.write_bytes(whole)
    (own / "more").touch()
    refused("more is not of it")
    (own / "more").unlink()
    check_backup(own)
    (own / "files.sha256").open("a").write("0  x\n")
    refused("files.sha256 is not as it was written")
    (own / "backup.json").unlink()
    refused("backup.json is missing")


def test_a_file_that_was_cut_off_is_refused(busy: PlatformFolder, tmp_path: Path) -> None:
    out = tmp_path / "b.tar"
    backup(busy, out)
    whole = out.read_bytes()
    for size in (0, 700, len(whole) // 2, len(whole) - 12_000):
        out.write_bytes(whole[:size])
        with pytest.raises(CovidlitError, match=r"damaged|no backup"):
            restore(out, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("what", ["format", "migration"])
def test_a_backup_of_a_newer_version_is_refused(what: str, own: Path, tmp_path: Path) -> None:
    about = json.loads((own / "backup.json").read_text())
    about["covidlit"] = "99.0"
    if what == "format":
        about["format"] = 99
    else:
        about["migrations"]["jobs"].append("9999_of_later")
    (own / "backup.json").write_text(json.dumps(about))
    with pytest.raises(CovidlitError, match=r"99\.0.*newer|newer.*99\.0"):
        restore(own, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_places_that_would_be_lost_or_written_over_are_refused(
    busy: PlatformFolder, kept: Path, tmp_path: Path
) -> None:
    with pytest.raises(CovidlitError, match="within the platform"):
        backup(busy, busy.root / "backup")
    with pytest.raises(CovidlitError, match="it is there"):
        backup(busy, kept)
    (tmp_path / "mine").touch()
    with pytest.raises(CovidlitError, match="not empty"):
        restore(kept, tmp_path)
    with pytest.raises(CovidlitError, match="no such backup"):
        restore(tmp_path / "nothing", tmp_path / "new")
    with pytest.raises(CovidlitError, match="on SQLite"):
        restore(kept, tmp_path / "new", "postgresql://a@b/c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


@pytest.mark.parametrize("name", ["b", "b.tar"])
def test_a_full_disk_leaves_nothing_half(
    name: str, busy: PlatformFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, count = containers.Hashed.read, iter(range(1000))

    def full(stream: containers.Hashed, size: int = -1) -> bytes:
        if next(count) > 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return read(stream, size)

    monkeypatch.setattr(containers.Hashed, "read", full)
    with pytest.raises(CovidlitError, match="disk is full"):
        backup(busy, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    assert not (busy.root / ".backing-up").exists()
    monkeypatch.undo()
    backup(busy, tmp_path / name)
    check_backup(tmp_path / name)


def test_a_backup_that_is_killed_never_looks_whole(busy: PlatformFolder, tmp_path: Path) -> None:
    out = tmp_path / "b"
    command = [*COVIDLIT, "backup", str(busy.root), "--out", str(out)]
    own = subprocess.Popen(command, env=_environment(busy.root), stdout=subprocess.PIPE, text=True)
    assert own.stdout is not None
    assert "database" in own.stdout.readline()
    own.kill()
    own.wait()
    assert not out.exists()
    subprocess.run(command, check=True, env=_environment(busy.root), capture_output=True)
    check = [*COVIDLIT, "restore", str(out), "--check"]
    assert "is whole" in subprocess.check_output(check, text=True, env=_environment(busy.root))
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
