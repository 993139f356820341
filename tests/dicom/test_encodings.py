"""How files are really encoded, whatever they say of themselves: exact values, or a refusal."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
)

from covidlit.dicom import Checks, SeriesRefused, find_series, judge, read_series

ONE = Checks(min_slices=1)
ENCODINGS = {
    "implicit": (True, "<", ImplicitVRLittleEndian),
    "explicit": (False, "<", ExplicitVRLittleEndian),
    "big": (False, ">", ExplicitVRBigEndian),
}
HEADS = ("none", "group without preamble", "preamble without group", "true", "other")
RESCALES = ((1, -1024), (0.5, -1000), (2, -2047.5))


def encoded(ds: Dataset, implicit: bool, endian: str) -> bytes:
    """The data set in bytes, elements and 16-bit pixels in one byte order."""
    out = DicomFileLike(BytesIO())
    out.is_implicit_VR, out.is_little_endian = implicit, endian == "<"
    write_dataset(out, ds)
    return out.parent.getvalue()


def write(ds: Dataset, stored: np.ndarray, path: Path, encoding: str, head: str = "true") -> Path:
    """One file; `head` says what stands before the data set, and whether it is true."""
    implicit, endian, syntax = ENCODINGS[encoding]
    plain = Dataset({element.tag: element for element in ds})
    kind = f"{endian}{'i' if ds.PixelRepresentation else 'u'}{ds.BitsAllocated // 8}"
    plain.Rows, plain.Columns = stored.shape
    plain.PixelData = stored.astype(kind).tobytes()
    plain["PixelData"].VR = "OW"
    if head == "other":
        others = [uid for name, (*_, uid) in ENCODINGS.items() if name != encoding]
        syntax = others[0]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, syntax
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    has_group = head in ("group without preamble", "true", "other")
    before = encoded(Dataset(meta), False, "<") if has_group else b""
    if head in ("preamble without group", "true", "other"):
        before = bytes(128) + b"DICM" + before
    path.write_bytes(before + encoded(plain, implicit, endian))
    return path


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_exact_values_in_every_encoding(
    one_slice: Callable[..., Dataset], tmp_path: Path, encoding: str, head: str
) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "file"
    for bits, signed, (slope, intercept) in itertools.product(range(10, 17), (0, 1), RESCALES):
        ds = one_slice(0)
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, signed
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = slope, intercept, "HU"
        ds.ReferencedImageSequence = Sequence([Dataset()])  # a sequence to step over
        first = -(1 << bits - 1) if signed else 0
        stored = rng.integers(first, first + (1 << bits), (7, 9))
        scan = read_series(write(ds, stored, path, encoding, head), ONE)
        expected = np.clip(np.rint(stored * slope + intercept), -1024, 32767)
        assert np.array_equal(scan.hu[0], expected), (bits, signed, slope)
        told = [note for note in scan.notes if "TransferSyntaxUID" in note]
        assert len(told) == (head == "other")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("bits", [8, 32])
def test_other_word_lengths_in_every_encoding(
    one_slice: Callable[..., Dataset], tmp_path: Path, encoding: str, bits: int
) -> None:
    ds = one_slice(0)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits, bits - 1, 0
    ds.RescaleSlope, ds.RescaleIntercept = 8 if bits == 8 else 1, -1024
    stored = np.arange(80).reshape(8, 10)
    path = write(ds, stored, tmp_path / "file", encoding)
    if bits == 8 and encoding == "big":  # in words of two pixels, DICOM PS3.5 annex A.3
        content = path.read_bytes()
        pixels = stored.astype("u1").tobytes()
        swapped = np.frombuffer(pixels, "u2").byteswap().tobytes()
        path.write_bytes(content.replace(pixels, swapped))
    expected = stored * ds.RescaleSlope - 1024
    assert np.array_equal(read_series(path, ONE).hu[0], expected)


# element, value, words of the refusal
WRONG = [
    ("BitsAllocated", 12, "BitsAllocated is 12"),
    ("BitsAllocated", None, "no BitsAllocated"),
    ("BitsStored", 17, "BitsStored is 17"),
    ("BitsStored", 0, "BitsStored is 0"),
    ("BitsStored", None, "no BitsStored"),
    ("HighBit", 15, "HighBit is 15.*BitsStored 12"),
    ("HighBit", 7, "HighBit is 7.*BitsStored 12"),
    ("PixelRepresentation", None, "no PixelRepresentation"),
    ("PixelRepresentation", 2, "PixelRepresentation is 2"),
    ("SamplesPerPixel", 3, "SamplesPerPixel is 3"),
    ("PhotometricInterpretation", "PALETTE COLOR", "PhotometricInterpretation is PALETTE"),
    ("RescaleType", "MGML", "RescaleType is MGML"),
    ("RescaleType", "HU_MOD", "RescaleType is HU_MOD"),
    ("RescaleSlope", -1, "RescaleSlope is -1"),
    ("RescaleSlope", 0, "RescaleSlope is 0"),
    ("RescaleIntercept", 0, "RescaleIntercept 0"),
    ("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL", "EFF_ATOMIC_NUM"], "ImageType is EFF_ATOMIC"),
    ("ModalityLUTSequence", Sequence([Dataset()]), "ModalityLUTSequence"),
]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_a_refusal_names_the_element_and_its_value(
    one_slice: Callable[..., Dataset],
    tmp_path: Path,
    encoding: str,
    name: str,
    value: object,
    words: str,
) -> None:
    ds = one_slice(0)
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, 0
    path = write(ds, np.full((4, 4), 100), tmp_path / "file", encoding)
    assert (read_series(path, ONE).hu == -900).all()
    # Written once more with the one element changed, and the pixels as they were.
    changed = Dataset({element.tag: element for element in ds})
    pixels = np.full((4, 4), 100, f"{ENCODINGS[encoding][1]}u2").tobytes()
    changed.Rows, changed.Columns, changed.PixelData = 4, 4, pixels
    changed["PixelData"].VR = "OW"
    if value is None:
        delattr(changed, name)
    else:
        setattr(changed, name, value)
    implicit, endian, _ = ENCODINGS[encoding]
    path.write_bytes(encoded(changed, implicit, endian))
    with pytest.raises(SeriesRefused, match=words):
        read_series(path, ONE)


@pytest.mark.parametrize("text", ["0,75\\0,75", "0.75,0.75", "0.75mm\\0.75mm", "Doe^Jane\\x"])
def test_numbers_in_another_notation_are_shown_and_names_are_not(
    one_slice: Callable[..., Dataset], tmp_path: Path, text: str
) -> None:
    ds = one_slice(0)
    ds.PixelSpacing = [1234.5, 123]
    path = write(ds, np.zeros((4, 4)), tmp_path / "file", "explicit")
    content = path.read_bytes()
    assert content.count(b"1234.5\\123") == 1
    path.write_bytes(content.replace(b"1234.5\\123", text.encode().ljust(10)[:10]))
    (finding,) = judge(find_series(path).series[0], ONE).findings
    assert finding.check == "unreadable_file"
    assert "PixelSpacing" in finding.message
    assert "correct PixelSpacing in the headers" in finding.message
    assert ("comma" in finding.message) == ("," in text)
    assert ("Doe" in text) != (text[:10].strip() in finding.message)


def test_pixels_whose_compression_is_only_said(
    one_slice: Callable[..., Dataset], tmp_path: Path
) -> None:
    ds = one_slice(0)
    path = write(ds, np.full((4, 4), 100), tmp_path / "file", "explicit")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"))
    with pytest.raises(SeriesRefused, match=r"without fragments in TransferSyntaxUID .*\(RLE"):
        read_series(path, ONE)


def test_compressed_pixels_that_are_said_to_be_plain(
    one_slice: Callable[..., Dataset], tmp_path: Path, save_as: Callable[..., Path]
) -> None:
    ds = one_slice(0)
    ds.PixelData = encapsulate([b"\xff\xd8 any code \xff\xd9"])
    ds["PixelData"].VR = "OB"
    ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    path = save_as(ds, tmp_path / "file")
    content = path.read_bytes()
    said = b"1.2.840.10008.1.2.4.70"
    path.write_bytes(content.replace(said, b"1.2.840.10008.1.2.1\0\0\0"))
    with pytest.raises(SeriesRefused, match=r"fragments in TransferSyntaxUID .*Explicit"):
        read_series(path, ONE)


def test_a_private_transfer_syntax_is_named(
    one_slice: Callable[..., Dataset], tmp_path: Path
) -> None:
    ds = one_slice(0)
    path = write(ds, np.full((4, 4), 100), tmp_path / "file", "explicit")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.113619.5.2\0\0"))
    with pytest.raises(SeriesRefused, match=r"TransferSyntaxUID 1\.2\.840\.113619\.5\.2"):
        read_series(path, ONE)
