"""Archives: unpacked whole within limits, or refused with nothing left."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
import pytest

from covidlit.platform.intake.archives import Budget, is_archive, unpack
from covidlit.platform.intake.receiving import UploadRefused


def made(path: Path, **files: bytes) -> Path:
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return path


def budget() -> Budget:
    return Budget(1 << 20, 100)


def test_an_archive_is_unpacked_as_it_was_packed(tmp_path: Path) -> None:
    path = made(tmp_path / "a.zip", scan__1=b"one", scan__deep__2=b"two")
    assert is_archive(path)
    unpack(path, tmp_path / "out", budget())
    found = {p.relative_to(tmp_path / "out").as_posix(): p.read_bytes()
             for p in (tmp_path / "out").rglob("*") if p.is_file()}  # fmt: skip
    assert found == {"scan/1": b"one", "scan/deep/2": b"two"}


def _named(path: Path, name: str, attributes: int = 0) -> Path:
    with ZipFile(path, "w") as archive:
        archive.writestr("first", b"1")
        entry = ZipInfo(name)
        entry.external_attr = attributes << 16
        archive.writestr(entry, b"content")
    return path


@pytest.mark.parametrize("name", ["../out", "/absolute", "a/../../b", "..\\b"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    path = _named(tmp_path / "a.zip", name)
    with pytest.raises(UploadRefused, match="plain name"):
        unpack(path, tmp_path / "folder" / "out", budget())
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["a.zip"]


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = _named(tmp_path / "a.zip", "link", 0o120777)
    with pytest.raises(UploadRefused, match="a link"):
        unpack(path, tmp_path / "out", budget())
    assert not (tmp_path / "out").exists()


def test_what_unpacks_to_too_much_is_ended_on_the_way(tmp_path: Path) -> None:
    path = made(tmp_path / "a.zip", large=bytes(5 << 20))
    assert path.stat().st_size < 10_000
    with pytest.raises(UploadRefused, match="more than an upload may hold"):
        unpack(path, tmp_path / "out", budget())
    assert not (tmp_path / "out").exists()


def test_a_size_that_is_claimed_too_small_is_not_believed(tmp_path: Path) -> None:
    path = made(tmp_path / "a.zip", large=bytes(5 << 20))
    content = path.read_bytes().replace(struct.pack("<L", 5 << 20), struct.pack("<L", 10))
    path.write_bytes(content)
    with pytest.raises(UploadRefused):
        unpack(path, tmp_path / "out", budget())
    assert not (tmp_path / "out").exists()


def test_too_many_files_and_doubled_names_are_refused(tmp_path: Path) -> None:
    many = made(tmp_path / "a.zip", **{f"f{n}": b"" for n in range(101)})
    with pytest.raises(UploadRefused, match="too many files"):
        unpack(many, tmp_path / "out", budget())
    twice = tmp_path / "b.zip"
    with ZipFile(twice, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"2")
    with pytest.raises(UploadRefused, match="twice"):
        unpack(twice, tmp_path / "out", budget())


def test_a_file_that_is_a_folder_too_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with ZipFile(path, "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr("a/b", b"2")
    with pytest.raises(UploadRefused):
        unpack(path, tmp_path / "out", budget())
    assert not (tmp_path / "out").exists()


def test_damage_is_refused_with_nothing_left(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"scan/{number}.dcm", rng.bytes(500))
    whole = buffer.getvalue()
    refused = 0
    for number in range(300):
        changed = bytearray(whole)
        for place in rng.integers(len(changed), size=rng.integers(1, 4)):
            changed[place] ^= int(rng.integers(1, 256))
        if rng.random() < 0.2:
            changed = changed[: rng.integers(len(changed))]
        path, out = tmp_path / "a.zip", tmp_path / f"out{number}"
        path.write_bytes(changed)
        try:
            unpack(path, out, budget())
        except UploadRefused:
            refused += 1
            assert not out.exists()
    assert refused > 100
