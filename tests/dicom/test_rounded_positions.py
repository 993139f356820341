"""Positions rounded on export, or of a table that jitters: read as the even stack they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from covidlit.dicom import SeriesRefused, find_series, judge, read_series

Write = Callable[..., Path]
N = 40
HU_PER_MM = 20  # HU = 20 mm^-1 (z - 100 mm), so that a slice in a wrong place shows


def placed(step: float, told: Callable[[float, int], float], also: Callable[..., None] | None):
    """An edit that puts slice k at 100 mm + k step, and writes `told` of that into the header."""

    def edit(ds: Dataset, k: int) -> None:
        z = 100 + step * k
        ds.RescaleSlope, ds.RescaleIntercept = 1, round(HU_PER_MM * step * k) - 1000 - 100 * k
        ds.SliceThickness = step
        ds.ImagePositionPatient = [-20.0, -30.0, told(z, k)]
        if also is not None:
            also(ds, k)

    return edit


jitter = np.random.default_rng(3).uniform(-0.05, 0.05, N)


@pytest.mark.parametrize(
    ("step", "told", "is_told"),
    [
        (0.625, lambda z, k: round(z, 1), True),
        (1.25, lambda z, k: round(z, 1), True),
        (0.75, lambda z, k: round(z, 1), True),
        (0.625, lambda z, k: round(z, 2), False),  # within what any header is off
        (3.0, lambda z, k: round(z + jitter[k], 2), True),
        (1.0, lambda z, k: round(z + jitter[k], 3), True),
        (2.5, lambda z, k: z, False),
    ],
)
def test_every_slice_is_where_it_was_measured(
    write_ct: Write, step: float, told: Callable[[float, int], float], is_told: bool
) -> None:
    scan = read_series(write_ct(n=N, edit=placed(step, told, None)))
    assert len(scan.hu) == N
    z = scan.affine[2, 3] + scan.affine[2, 0] * np.arange(N)
    assert z == pytest.approx(100 + step * np.arange(N), abs=0.06)
    assert scan.hu[:, 0, 0] / HU_PER_MM + 100 == pytest.approx(z, abs=0.1)
    assert any("read as evenly spaced" in note for note in scan.notes) is is_told


def test_sideways_rounding_is_read_and_told(write_ct: Write) -> None:
    def also(ds: Dataset, k: int) -> None:
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x + 0.09 * (k % 3 == 0), y, z]

    scan = read_series(write_ct(n=N, edit=placed(2.5, lambda z, k: z, also)))
    assert any("sideways" in note for note in scan.notes)


def test_a_missing_slice_is_seen_through_the_rounding(write_ct: Write) -> None:
    edit = placed(0.625, lambda z, k: round(z, 1), None)
    folder = write_ct(n=N, edit=lambda ds, k: k not in (11, 25, 26) and edit(ds, k) is None)
    verdict = judge(find_series(folder).series[0])
    assert [finding.check for finding in verdict.findings] == ["missing_slice"]
    assert "3 slices missing at 2 places" in verdict.reason


@pytest.mark.parametrize("off", [0.15, 0.3, -0.6])
def test_a_slice_that_stands_elsewhere_is_no_rounding(write_ct: Write, off: float) -> None:
    folder = write_ct(n=N, edit=placed(2.5, lambda z, k: z + off * (k == 7), None))
    with pytest.raises(SeriesRefused, match="non_uniform_spacing"):
        read_series(folder)


def test_whole_millimetres_are_refused_and_said_to_be_rounded(write_ct: Write) -> None:
    folder = write_ct(n=N, edit=placed(1.25, lambda z, k: float(round(z)), None))
    reason = judge(find_series(folder).series[0]).reason
    assert "all are whole millimetres, the header says 1.25: rounded on export?" in reason
