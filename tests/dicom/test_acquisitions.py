"""Several acquisitions under one SeriesInstanceUID: named, chosen by number, never mixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.dicom import Checks, SeriesRefused, find_series, judge, read_series
from covidlit.errors import DicomError

Write = Callable[..., Path]
Edit = Callable[[Dataset, int], None]
N = 14
SECOND_HU = 7000  # added to the second acquisition, so that a mixed volume shows


def two(*signs: Edit, offset: float = 1.25) -> Edit:
    """An edit that makes slices N to 2 N - 1 a second acquisition over the range of the first."""

    def edit(ds: Dataset, k: int) -> None:
        if k >= N:
            ds.ImagePositionPatient = [-20.0, -30.0, 100 + 2.5 * (k - N) + offset]
            ds.RescaleIntercept = -1000 - 100 * N + SECOND_HU
        for sign in signs:
            sign(ds, int(k >= N))

    return edit


def sign(name: str, first: object, second: object) -> Edit:
    return lambda ds, which: setattr(ds, name, (first, second)[which])


def keep_order(ds: Dataset, which: int) -> None:
    """InstanceNumbers as they are: the second acquisition's follow the first's."""


@pytest.mark.parametrize("offset", [1.25, 0.85, 0.0, 10.0])
@pytest.mark.parametrize(
    ("tell", "words"),
    [
        (sign("AcquisitionNumber", 1, 2), ["AcquisitionNumber 1", "AcquisitionNumber 2"]),
        (sign("AcquisitionTime", "100020", "100040.5"), ["20 s after the first"]),
        (sign("TemporalPositionIdentifier", 1, 2), ["TemporalPositionIdentifier 2"]),
        (sign("NominalPercentageOfCardiacPhase", 40, 75), ["cardiac phase 40", "cardiac phase 75"]),
        (sign("ConvolutionKernel", "B31f", "B70f"), ["ConvolutionKernel B70f"]),
        (sign("SliceThickness", 2.5, 5), ["SliceThickness 5"]),
        (sign("KVP", 80, 140), ["KVP 140"]),
        (keep_order, ["InstanceNumber 1 to 14", "InstanceNumber 15 to 28"]),
    ],
)
def test_two_over_one_range_are_named_and_each_can_be_read(
    write_ct: Write, tell: Edit, words: list[str], offset: float
) -> None:
    (series,) = find_series(write_ct(n=2 * N, edit=two(tell, offset=offset))).series
    verdict = judge(series)
    assert "several_acquisitions" in [finding.check for finding in verdict.findings]
    for word in [*words, "14 slices", "2 acquisitions", "several_acquisitions:1 to :2"]:
        assert word in verdict.reason
    with pytest.raises(SeriesRefused, match="several_acquisitions"):
        read_series(series)
    for number, (start, hu) in enumerate([(100.0, 0), (100.0 + offset, SECOND_HU)], 1):
        scan = read_series(series, Checks(override=frozenset({f"several_acquisitions:{number}"})))
        assert np.array_equal(scan.hu[:, 0, 0], 100 * np.arange(N) + hu)
        assert scan.affine[:, 0] == pytest.approx([0, 0, 2.5, 0])
        assert scan.affine[2, 3] == pytest.approx(start)
        assert any(f"number {number} was read" in note for note in scan.notes)


def test_without_a_number_the_longer_one_is_read(write_ct: Write) -> None:
    edit = two(sign("AcquisitionNumber", 1, 2))
    folder = write_ct(n=2 * N, edit=lambda ds, k: k not in (0, 1) and edit(ds, k) is None)
    scan = read_series(folder, Checks(override=frozenset({"several_acquisitions"})))
    assert np.array_equal(scan.hu[:, 0, 0], 100 * np.arange(N) + SECOND_HU)


def test_a_number_that_there_is_not_refuses(write_ct: Write) -> None:
    folder = write_ct(n=2 * N, edit=two(sign("AcquisitionNumber", 1, 2)))
    with pytest.raises(SeriesRefused, match="several_acquisitions:1 to :2"):
        read_series(folder, Checks(override=frozenset({"several_acquisitions:3"})))
    for wrong in ("several_acquisitions:0", "missing_slice:2", "several_acquisitions:x"):
        with pytest.raises(DicomError, match=r"several_acquisitions:2"):
            Checks(override=frozenset({wrong}))


def test_rotations_with_a_number_each_are_one_acquisition_and_two_scans_of_them_two(
    write_ct: Write,
) -> None:
    def rotation(ds: Dataset, k: int) -> None:
        ds.AcquisitionNumber = k // 2

    assert judge(find_series(write_ct(n=2 * N, edit=rotation)).series[0]).accepted
    second = two()

    def twice(ds: Dataset, k: int) -> None:
        second(ds, k)
        rotation(ds, k)

    folder = write_ct(n=2 * N, edit=twice, folder="twice")
    scan = read_series(folder, Checks(override=frozenset({"several_acquisitions:2"})))
    assert np.array_equal(scan.hu[:, 0, 0], 100 * np.arange(N) + SECOND_HU)


def test_phases_and_kernels_together_are_four(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.ImagePositionPatient = [-20.0, -30.0, 100 + 2.5 * (k % N)]
        ds.RescaleIntercept = -1000 - 100 * (k - k % N)
        ds.AcquisitionNumber = 1 + k // (2 * N)
        ds.ConvolutionKernel = "B31f" if k // N % 2 else "B70f"
        ds.PixelRepresentation = 0

    (series,) = find_series(write_ct(n=4 * N, edit=edit)).series
    assert "4 acquisitions" in judge(series).reason
    scan = read_series(series, Checks(override=frozenset({"several_acquisitions:3"})))
    assert np.array_equal(scan.hu[:, 0, 0], 100 * np.arange(N))


def test_one_beyond_the_other_is_read_and_told(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.AcquisitionNumber = 1 + k // N

    scan = read_series(write_ct(n=2 * N, edit=edit))
    assert np.array_equal(scan.hu[:, 0, 0], 100 * np.arange(2 * N))
    assert any("2 acquisitions, one beyond the other" in note for note in scan.notes)


def test_numbers_without_an_order_are_no_acquisitions(write_ct: Write) -> None:
    order = np.random.default_rng(0).permutation(40)

    def edit(ds: Dataset, k: int) -> None:
        ds.InstanceNumber = ds.AcquisitionNumber = int(order[k])
        ds.AcquisitionTime = f"1000{order[k]:02d}"

    scan = read_series(write_ct(n=40, edit=edit))
    assert np.array_equal(scan.hu[:, 0, 0], 100 * np.arange(40))


def test_the_command_names_them_and_reads_the_one_that_is_chosen(
    write_ct: Write, tmp_path: Path
) -> None:
    folder = write_ct(n=2 * N, edit=two(sign("AcquisitionNumber", 1, 2)))
    table = tmp_path / "series.csv"
    command = ["inspect", str(folder), "--csv", str(table), "--strict"]
    assert CliRunner().invoke(app, command).exit_code == 1
    assert "AcquisitionNumber 2" in table.read_text()
    chosen = CliRunner().invoke(app, [*command, "--override", "several_acquisitions:2"])
    assert chosen.exit_code == 0, chosen.output
    assert "number 2 was read" in table.read_text()


def test_all_slices_at_one_position_are_said_to_be(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.ImagePositionPatient = [0, 0, 0]
        ds.SliceLocation = 2.5 * k

    (series,) = find_series(write_ct(edit=edit)).series
    verdict = judge(series)
    assert [finding.check for finding in verdict.findings] == ["duplicate_position"]
    assert "all 14 slices carry one ImagePositionPatient, (0, 0, 0) mm" in verdict.reason
    with pytest.raises(SeriesRefused, match="one ImagePositionPatient"):
        read_series(series, Checks(override=frozenset({"duplicate_position"})))
