"""What an image's header claims is held against its file before any memory is taken."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from covidlit.errors import CovidlitError
from covidlit.scans.images import read_image

SHAPE = (6, 8, 10)


def _image(path: Path, *, compress: bool = False) -> Path:
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(values), str(path), useCompression=compress)
    return path


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    "name", ["a.nii", "a.nii.gz", "a.mha", "a.mhd", "a.nrrd", "a.nhdr", "a.gipl", "a.hdr"]
)
def test_whole_images_pass(name: str, compress: bool, tmp_path: Path) -> None:
    stated = "LPS" if name.endswith(".gipl") else None  # its header does not say it
    scan = read_image(_image(tmp_path / name, compress=compress), orientation=stated)
    assert sorted(scan.hu.ravel()) == list(range(480))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_nifti_header_that_claims_more_than_its_file(name: str, tmp_path: Path) -> None:
    content = bytearray(_image(tmp_path / "whole.nii").read_bytes())
    struct.pack_into("<4h", content, 40, 3, 1024, 1024, 900)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(CovidlitError, match="cut off, or its header is damaged"):
        read_image(path)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("a.mha", b"DimSize = 10 8 6", b"DimSize = 1000 1000 900"),
        ("a.nrrd", b"sizes: 10 8 6", b"sizes: 1000 1000 900"),
    ],
)
@pytest.mark.parametrize("compress", [False, True])
def test_other_headers_that_claim_more_than_their_file(
    name: str, old: bytes, new: bytes, compress: bool, tmp_path: Path
) -> None:
    path = _image(tmp_path / name, compress=compress)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(CovidlitError, match="cut off, or its header is damaged"):
        read_image(path)


def test_an_honest_claim_above_the_limit_tells_the_override(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _image(tmp_path / "a.nii.gz")
    monkeypatch.setenv("COVIDLIT_MAX_GIB", "0.0000005")
    with pytest.raises(CovidlitError, match="COVIDLIT_MAX_GIB=1 in the environment allows it"):
        read_image(path)
    monkeypatch.setenv("COVIDLIT_MAX_GIB", "none")
    with pytest.raises(CovidlitError, match="must be a positive number, got 'none'"):
        read_image(path)
