"""Hashes of files that are kept between processes: those of the content, whatever has changed."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from covidlit.deploy import file_hash as module
from covidlit.deploy.file_hash import MOST, file_hash
from covidlit.deploy.kept import VARIABLE
from covidlit.errors import CovidlitError


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of kept hashes; a file counts as settled at once."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "kept"))
    monkeypatch.setattr(module, "SETTLED", -1.0)
    return tmp_path / "kept" / "hashes"


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _as_another_process() -> None:
    module._hash_of.cache_clear()


def test_a_kept_hash_is_used_and_never_for_another_content(kept: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    assert file_hash(file) == _sha(b"weights")
    (place,) = kept.iterdir()
    place.write_text("a" * 64)  # to see whether it is read
    _as_another_process()
    assert file_hash(file) == "a" * 64
    before = file.stat()
    time.sleep(0.02)  # a tick of the clock
    file.write_bytes(b"WEIGHTS")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # hidden as well as can be
    assert file_hash(file) == _sha(b"WEIGHTS")
    other = tmp_path / "other.bin"
    other.write_bytes(b"weights")
    assert file_hash(other) == _sha(b"weights")


def test_a_file_that_was_just_written_is_hashed_again(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED", 10.0)
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    assert file_hash(file) == _sha(b"weights")
    assert list(kept.iterdir()) == []


@pytest.mark.parametrize("content", ["", "no hash", "g" * 64, "a" * 63])
def test_what_is_no_hash_is_not_believed(kept: Path, tmp_path: Path, content: str) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    file_hash(file)
    (place,) = kept.iterdir()
    place.write_text(content)
    _as_another_process()
    assert file_hash(file) == _sha(b"weights")


def test_a_full_disk_costs_no_hash(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise CovidlitError("the disk is full.", where=path)

    monkeypatch.setattr(module, "write_bytes", full)
    (tmp_path / "model.bin").write_bytes(b"weights")
    assert file_hash(tmp_path / "model.bin") == _sha(b"weights")


def test_a_few_stay(kept: Path, tmp_path: Path) -> None:
    for number in range(MOST + 3):
        file = tmp_path / f"{number}.bin"
        file.write_bytes(str(number).encode())
        assert file_hash(file) == _sha(str(number).encode())
    assert len(list(kept.iterdir())) == MOST


def test_without_a_place_it_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.bin"
    for place in ("", str(file / "under a file")):
        monkeypatch.setenv(VARIABLE, place)
        for content in (b"", b"weights"):
            file.write_bytes(content)
            _as_another_process()
            assert file_hash(file) == _sha(content)
    with pytest.raises(FileNotFoundError):
        file_hash(tmp_path / "none")
