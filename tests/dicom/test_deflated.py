"""Deflated files: exact, and inflated no further than what is wanted."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from covidlit.dicom import SeriesRefused, find_series, read_series
from covidlit.dicom.inflate import Inflated, header_limit
from covidlit.errors import DicomError

Write = Callable[..., Path]


def _deflated(ds: Dataset, k: int) -> None:
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


def _change(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the data set of a deflated file."""
    content = path.read_bytes()
    meta = pydicom.filereader.read_file_meta_info(path)
    start = 144 + meta.FileMetaInformationGroupLength
    data = zlib.decompress(content[start:], -zlib.MAX_WBITS)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    path.write_bytes(content[:start] + packer.compress(change(data)) + packer.flush())


def test_a_deflated_series_is_exact(write_ct: Write) -> None:
    scan = read_series(write_ct(edit=_deflated))
    expected = 100 * np.arange(14)[:, None, None] + np.arange(10)
    np.testing.assert_array_equal(scan.hu, np.broadcast_to(expected, (14, 12, 10)))


def test_what_follows_the_pixels_is_not_inflated(
    write_ct: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_ct(edit=_deflated)
    _change(folder / "a007", lambda data: data + bytes(64 << 20))
    longest = []
    grow = Inflated.grow_to

    def watched(self: Inflated, length: int) -> bytes:
        content = grow(self, length)
        longest.append(len(self.content))
        return content

    monkeypatch.setattr(Inflated, "grow_to", watched)
    assert read_series(folder).hu[7, 0, 0] == 700
    assert max(longest) < 2 << 20


def test_a_header_that_does_not_end_is_listed_with_the_override(
    write_ct: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_ct(edit=_deflated)
    private = b"\x09\x00\x01\x10UN\0\0" + (2 << 20).to_bytes(4, "little") + bytes(2 << 20)
    _change(
        folder / "a001",
        lambda data: data[: (at := data.index(b"\x10\x00\x10\x00"))] + private + data[at:],
    )
    assert len(read_series(folder).hu) == 14
    monkeypatch.setenv("COVIDLIT_MAX_GIB", "0.03")
    assert header_limit() < 2 << 20
    (problem,) = find_series(folder).problems
    assert problem.path.name == "a001"
    assert "COVIDLIT_MAX_GIB" in problem.reason


def test_a_deflated_file_that_is_cut_off_is_named(write_ct: Write) -> None:
    folder = write_ct(edit=_deflated)
    _change(folder / "a001", lambda data: data[:-40])
    with pytest.raises(SeriesRefused, match=r"a001.*(truncated|cut off)"):
        read_series(folder)


def test_a_volume_above_the_limit_is_refused_before_it_is_taken(
    write_ct: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_ct()
    monkeypatch.setenv("COVIDLIT_MAX_GIB", "0.000001")
    with pytest.raises(DicomError, match=r"the volume claims .*\(COVIDLIT_MAX_GIB=1 in"):
        read_series(folder)
    monkeypatch.setenv("COVIDLIT_MAX_GIB", "1")
    assert len(read_series(folder).hu) == 14
