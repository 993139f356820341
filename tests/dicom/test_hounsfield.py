"""Stored values to Hounsfield units, against pydicom and by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from covidlit.dicom import Checks, read_series

ANY_UNIT = Checks(override=frozenset({"not_hu"}))
Write = Callable[..., Path]
Stored = Callable[[Dataset, np.ndarray], None]


def _format(ds: Dataset, signed: int, bits: int) -> None:
    ds.PixelRepresentation, ds.BitsStored, ds.HighBit = signed, bits, bits - 1


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize(("slope", "intercept"), [(1, -1000), (1, 0), (0.5, -1024.5), (2, -3)])
def test_every_stored_value_equals_pydicom(
    write_ct: Write, stored: Stored, signed: int, bits: int, slope: float, intercept: float
) -> None:
    first = -(1 << bits - 1) if signed else 0
    values = (first + np.arange(1 << bits)).reshape(-1, 64)

    def edit(ds: Dataset, k: int) -> None:
        _format(ds, signed, bits)
        ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
        stored(ds, values)

    folder = write_ct(edit=edit)
    raw = pydicom.dcmread(folder / "a001").pixel_array.astype(np.float64)
    expected = np.clip(np.rint(raw * slope + intercept), -1024, 32767)
    assert np.array_equal(read_series(folder, ANY_UNIT).hu[3], expected)


@pytest.mark.parametrize("signed", [0, 1])
def test_unused_bits_are_dropped_as_pydicom_does(
    write_ct: Write, stored: Stored, signed: int
) -> None:
    def edit(ds: Dataset, k: int) -> None:
        _format(ds, signed, 12)
        stored(
            ds, np.arange(-600, 600).reshape(30, 40) if signed else np.arange(1200).reshape(30, 40)
        )
        # an overlay in the upper bits, as old scanners wrote it
        words = np.frombuffer(ds.PixelData, "<u2") & 0x0FFF | 0x3000
        ds.PixelData = words.tobytes()

    folder = write_ct(edit=edit)
    raw = pydicom.dcmread(folder / "a001").pixel_array.astype(int)
    assert np.array_equal(read_series(folder).hu[0], np.maximum(raw - 1000, -1024))


def test_slope_and_intercept_are_each_slices_own(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = 1 + k % 3, -1000 + 7 * k

    hu = read_series(write_ct(edit=edit)).hu
    for k in range(14):
        expected = (1000 + 100 * k + np.arange(10)) * (1 + k % 3) - 1000 + 7 * k
        assert np.array_equal(hu[k, 0], expected)


@pytest.mark.parametrize(
    ("signed", "intercept", "value", "limit"),
    [
        (1, -1024, -2000, None),  # below air anyway
        (1, 0, 500, None),  # in the middle of soft tissue: the header says it is padding
        (0, -1024, 63536, None),
        (0, -1024, 0, None),
        (1, -1000, -32768, -31000),
        (0, -1024, 4000, 4095),
        (0, -1024, 4095, 4000),
    ],
)
def test_padding_becomes_air(
    write_ct: Write, stored: Stored, signed: int, intercept: int, value: int, limit: int | None
) -> None:
    kind = np.int16 if signed else np.uint16
    other = 1100
    image = np.full((8, 8), other)
    image[0] = value
    if limit is not None:
        image[1] = (value + limit) // 2
        image[2] = limit

    def edit(ds: Dataset, k: int) -> None:
        _format(ds, signed, 16)
        ds.RescaleIntercept = intercept
        stored(ds, image.astype(kind))
        for keyword, number in (
            ("PixelPaddingValue", value),
            ("PixelPaddingRangeLimit", limit),
        ):
            if number is not None:
                ds.add_new(
                    pydicom.datadict.tag_for_keyword(keyword), "SS" if signed else "US", number
                )

    hu = read_series(write_ct(edit=edit)).hu
    n_padded = 1 if limit is None else 3
    assert (hu[:, :n_padded] == -1024).all()
    assert (hu[:, n_padded:] == other + intercept).all()


def test_padding_written_with_the_other_sign_is_understood(write_ct: Write, stored: Stored) -> None:
    def edit(ds: Dataset, k: int) -> None:
        stored(ds, np.full((4, 4), -2000))
        ds.RescaleIntercept = 1500  # so that only the padding value can tell
        ds.add_new(0x00280120, "US", 63536)

    assert (read_series(write_ct(edit=edit)).hu == -1024).all()


def test_values_outside_the_field_of_view_become_air(write_ct: Write, stored: Stored) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.RescaleIntercept = 0
        stored(ds, np.array([[-3024, -1025, -1024, -1023, 0, 3071]]))

    hu = read_series(write_ct(edit=edit)).hu
    assert hu[0, 0].tolist() == [-1024, -1024, -1024, -1023, 0, 3071]


def test_values_above_int16_are_clipped(write_ct: Write, stored: Stored) -> None:
    def edit(ds: Dataset, k: int) -> None:
        _format(ds, 0, 16)
        ds.RescaleIntercept = 0
        stored(ds, np.array([[0, 32767, 32768, 65535]]))

    hu = read_series(write_ct(edit=edit), ANY_UNIT).hu
    assert hu[0, 0].tolist() == [0, 32767, 32767, 32767]


@pytest.mark.parametrize("bits", [8, 32])
def test_other_word_lengths_are_read(write_ct: Write, bits: int) -> None:
    def edit(ds: Dataset, k: int) -> None:
        _format(ds, 0, bits)
        ds.BitsAllocated, ds.RescaleIntercept = bits, -100
        ds.PixelData = np.arange(120, dtype=f"u{bits // 8}").tobytes()

    hu = read_series(write_ct(edit=edit), ANY_UNIT).hu
    assert np.array_equal(hu[5].ravel(), np.arange(-100, 20))


def test_without_rescale_the_values_are_taken_and_noted(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        del ds.RescaleSlope, ds.RescaleIntercept

    scan = read_series(write_ct(edit=edit))
    assert scan.hu[0, 0, 0] == 1000
    assert "no RescaleSlope or RescaleIntercept" in scan.notes[0]


@pytest.mark.parametrize(
    ("slope", "intercept", "words"),
    [(1, -1024, []), (1, 0, ["not_hu", "HU + 1024"]), (1000, -1024, ["slope"])],
)
def test_values_that_are_no_hounsfield_units_are_noted(
    write_ct: Write, stored: Stored, slope: float, intercept: float, words: list[str]
) -> None:
    # Half air with its noise, half tissue, and a rim of padding that is no air.
    image = np.repeat(np.array([[0, 30, 60, 1064, 1100]]), 10, axis=0) + np.arange(10)[:, None]
    image[0] = 4000

    def edit(ds: Dataset, k: int) -> None:
        _format(ds, 0, 12)
        ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
        stored(ds, image)
        ds.add_new(0x00280120, "US", 4000)

    notes = read_series(write_ct(edit=edit), ANY_UNIT).notes
    assert len(notes) == len(words)
    for word, note in zip(words, notes, strict=True):
        assert word in note
