"""What headers say of the values, held against the values themselves and against the neighbours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import compress
from pydicom.uid import RLELossless

from covidlit.dicom import Checks, SeriesRefused, find_series, judge, read_series

Write = Callable[..., Path]
Stored = Callable[[Dataset, np.ndarray], None]


def _overriding(*names: str) -> Checks:
    return Checks(override=frozenset(names))


def _words(values: np.ndarray, bits: int, signed: int) -> Callable[[Dataset, int], None]:
    """An edit that stores these 16-bit words in slice 3, and says they have so many bits."""

    def edit(ds: Dataset, k: int) -> None:
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, signed
        ds.RescaleIntercept = -1024
        words = values if k == 3 else np.full(values.shape, 1000)
        ds.Rows, ds.Columns = values.shape
        ds.PixelData = (words & 0xFFFF).astype("<u2").tobytes()

    return edit


def test_bits_stored_may_differ_from_slice_to_slice(write_ct: Write, stored: Stored) -> None:
    def edit(ds: Dataset, k: int) -> None:
        bits = 11 + k % 3
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, 0
        ds.RescaleIntercept = -1024
        stored(ds, np.arange(12).reshape(3, 4) + (1 << bits) - 12)

    folder = write_ct(edit=edit)
    scan = read_series(folder)
    for k in range(14):
        assert np.array_equal(scan.hu[k].ravel(), np.arange(12) + (1 << 11 + k % 3) - 1036)
    assert judge(find_series(folder).series[0]).notes == (
        "BitsStored differs from slice to slice (11 to 13): each slice was read by its own",
    )


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("signed", "values"),
    [
        (0, [[0, 1000, 3000, 4500]]),  # metal beyond 12 bits
        (1, [[-1000, -24, 0, 2500]]),  # the same, signed
        (1, [[-3024, -24, 0, 100]]),  # outside the field of view, beyond 12 bits
    ],
)
def test_values_beyond_bits_stored_are_refused(
    write_ct: Write, signed: int, values: list[list[int]], compressed: bool
) -> None:
    folder = write_ct(edit=_words(np.array(values), 12, signed))
    if compressed:
        for path in folder.iterdir():
            _rewrite(path, lambda ds: compress(ds, RLELossless, generate_instance_uid=False))
    with pytest.raises(SeriesRefused, match=r"a011: values from .* BitsStored 12") as refusal:
        read_series(folder)
    assert "correct BitsStored in the headers" in refusal.value.verdict.reason


def _rewrite(path: Path, change: Callable[[Dataset], object]) -> None:
    import pydicom

    ds = pydicom.dcmread(path)
    change(ds)
    ds.save_as(path)


@pytest.mark.parametrize(
    ("signed", "words", "values"),
    [
        (0, [0x3000, 0x3400, 0x3FFF], [0, 1024, 4095]),  # the same in all pixels
        (1, [0x0400, 0x0FFF, 0x0800], [1024, -1, -2048]),  # negative values without their sign
        (1, [0x0400, 0xFFFF, 0xF800], [1024, -1, -2048]),
    ],
)
def test_unused_bits_are_dropped(
    write_ct: Write, signed: int, words: list[int], values: list[int]
) -> None:
    hu = read_series(write_ct(edit=_words(np.array([words]), 12, signed))).hu
    assert hu[3, 0].tolist() == [max(value - 1024, -1024) for value in values]


def test_an_overlay_in_the_upper_bits_is_dropped(write_ct: Write) -> None:
    words = np.array([[0x1400, 0x0400, 0x1800]])

    def edit(ds: Dataset, k: int) -> None:
        _words(words, 12, 0)(ds, k)
        ds.add_new(0x60000100, "US", 16)
        ds.add_new(0x60000102, "US", 12)

    assert read_series(write_ct(edit=edit)).hu[3, 0].tolist() == [0, 0, 1024]


@pytest.mark.parametrize(("signed", "padding"), [(0, 63536), (1, 0x8000)])
def test_padding_beyond_bits_stored_becomes_air(write_ct: Write, signed: int, padding: int) -> None:
    words = np.array([[padding, 1100, 1200], [padding, 1300, 1400]])

    def edit(ds: Dataset, k: int) -> None:
        _words(words, 12, signed)(ds, k)
        ds.add_new(0x00280120, "US", padding)

    assert read_series(write_ct(edit=edit)).hu[3].tolist() == [[-1024, 76, 176], [-1024, 276, 376]]


def _gradient(k: int) -> np.ndarray:
    """HU of a body in air that changes little from slice to slice."""
    hu = np.full((16, 16), -1000.0)
    hu[3:13, 3:13] = np.linspace(-800, 300, 100).reshape(10, 10) + 2 * k
    return hu


@pytest.mark.parametrize(
    ("declared", "true", "accepted"),
    [
        ((1, -1024), (1, -1024), True),
        ((1, 0), (1, 0), True),  # stored otherwise, and said so
        ((2, -1500), (2, -1500), True),
        ((1, -924), (1, -1024), False),
        ((1, 0), (1, -1024), False),
        ((1, -1824), (1, -1024), False),
        ((1.5, -1024), (1, -1024), False),
    ],
)
def test_a_rescale_that_the_values_do_not_bear_out(
    write_ct: Write,
    stored: Stored,
    declared: tuple[float, float],
    true: tuple[float, float],
    accepted: bool,
) -> None:
    def edit(ds: Dataset, k: int) -> None:
        slope, intercept = true if k in (5, 6) else (1, -1024)
        stored(ds, np.rint((_gradient(k) - intercept) / slope))
        ds.RescaleSlope, ds.RescaleIntercept = declared if k in (5, 6) else (1, -1024)

    (series,) = find_series(write_ct(edit=edit)).series
    verdict = judge(series)
    assert verdict.accepted is accepted
    if accepted:
        scan = read_series(series)
        for k in range(14):
            assert np.abs(scan.hu[k] - _gradient(k)).max() <= 1
        assert any("each slice" in note for note in scan.notes) == (declared != (1, -1024))
        return
    assert [finding.check for finding in verdict.findings] == ["inconsistent_rescale"]
    assert "2 of 14 slices" in verdict.reason
    assert f"RescaleIntercept {declared[1]}" in verdict.reason


@pytest.mark.parametrize("honest", [True, False])
def test_a_rescale_that_changes_once(write_ct: Write, stored: Stored, honest: bool) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.RescaleIntercept = -1024 if k < 7 else 0
        stored(ds, np.rint(_gradient(k)) - (ds.RescaleIntercept if honest else -1024))

    verdict = judge(find_series(write_ct(edit=edit)).series[0])
    failed = [finding.check for finding in verdict.findings]
    assert failed == ([] if honest else ["inconsistent_rescale"])


def test_padding_that_covers_a_range_of_tissue_is_refused(write_ct: Write, stored: Stored) -> None:
    def edit(ds: Dataset, k: int) -> None:
        stored(ds, _gradient(k) + 1024)
        ds.RescaleIntercept = -1024
        ds.add_new(0x00280120, "SS", 0)
        ds.add_new(0x00280121, "SS", 1500)

    (series,) = find_series(write_ct(edit=edit)).series
    assert [finding.check for finding in judge(series).findings] == ["padding_in_tissue"]
    assert "PixelPaddingRangeLimit (0 to 1500)" in judge(series).reason
    scan = read_series(series, _overriding("padding_in_tissue"))
    assert np.abs(scan.hu[4] - _gradient(4)).max() <= 1


def test_a_padding_value_of_tissue_at_the_edge_alone_is_padding(
    write_ct: Write, stored: Stored
) -> None:
    def edit(ds: Dataset, k: int) -> None:
        image = _gradient(k) + 1024
        image[:, :2] = 2000
        stored(ds, image)
        ds.RescaleIntercept = -1024
        ds.add_new(0x00280120, "SS", 2000)

    scan = read_series(write_ct(edit=edit))
    assert (scan.hu[:, :, :2] == -1024).all()
    assert np.abs(scan.hu[4, :, 2:] - _gradient(4)[:, 2:]).max() <= 1


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BurnedInAnnotation", "YES", "BurnedInAnnotation is YES"),
        ("LossyImageCompression", "01", "LossyImageCompression is 01"),
        ("PhotometricInterpretation", "MONOCHROME1", "MONOCHROME1"),
    ],
)
def test_what_a_reader_should_know_is_noted(
    write_ct: Write, name: str, value: str, words: str
) -> None:
    def edit(ds: Dataset, k: int) -> None:
        setattr(ds, name, value if k < 2 else {"P": "MONOCHROME2", "L": "00"}.get(name[0], "NO"))

    (series,) = find_series(write_ct(edit=edit)).series
    (note,) = judge(series).notes
    assert words in note
    assert "2 of 14 files" in note
    # The values are as without it.
    assert np.array_equal(read_series(series).hu[:, 0, 0], 100 * np.arange(14))


@pytest.mark.parametrize("kind", ["HU", "hu ", "US", "[hnsf'U]", "", None])
def test_names_of_the_unit_that_are_accepted(write_ct: Write, kind: str | None) -> None:
    def edit(ds: Dataset, k: int) -> None:
        if kind is not None:
            ds.RescaleType = kind

    assert np.array_equal(read_series(write_ct(edit=edit)).hu[:, 0, 0], 100 * np.arange(14))


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ({3, 5}, "RescaleType is missing in a009, a011 (2 of 14 slices): all taken as HU"),
        (set(range(14)) - {4}, "RescaleType stands only in a010 (1 of 14 slices): all taken as HU"),
        (set(), None),
        (set(range(14)), None),
    ],
)
def test_a_rescale_type_that_some_slices_lack_is_named(
    write_ct: Write, without: set[int], said: str | None
) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.RescaleType = "HU"
        if k in without:
            del ds.RescaleType

    (series,) = find_series(write_ct(edit=edit)).series
    verdict = judge(series)
    assert verdict.accepted
    if said is None:
        assert not any("RescaleType" in note for note in verdict.notes)
    else:
        assert said in verdict.notes


@pytest.mark.parametrize("by", [-1, 1])
def test_an_intercept_that_is_off_by_one_is_named(write_ct: Write, stored: Stored, by: int) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024 + (by if k == 3 else 0)
        stored(ds, np.rint(_gradient(k)) - ds.RescaleIntercept)

    (series,) = find_series(write_ct(edit=edit)).series
    (odd,) = [frame for frame in series.frames if frame.intercept != -1024]
    verdict = judge(series)
    assert verdict.accepted
    assert any(f"({odd.name} unlike the others)" in note for note in verdict.notes)
