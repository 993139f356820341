"""The windpipe, where there is other bare air near the middle."""

from __future__ import annotations

import numpy as np

from covidlit.lesions.airways import find_airways

SPACING = (4.0, 2.0, 2.0)


def test_gas_in_the_bowel_is_no_windpipe_however_long() -> None:
    hu = np.full((100, 120, 160), 40, np.int16)
    y, x = np.mgrid[:120, :160] * 2.0
    body = np.broadcast_to(np.hypot((y - 120) / 100, (x - 160) / 150) < 1, hu.shape).copy()
    hu[75:, np.hypot(y - 120, x - 162) < 9] = -1000  # a windpipe of 100 mm
    hu[4:44, np.hypot(y - 90, x - 150) < 12] = -1000  # and gas of 160 mm
    found = find_airways(hu, body, SPACING, middle=80.0)
    assert np.array_equal(found, (hu == -1000) & (np.arange(100) >= 75)[:, None, None])


def test_without_a_windpipe_nothing_is_airway() -> None:
    hu = np.full((100, 120, 160), 40, np.int16)
    y, x = np.mgrid[:120, :160] * 2.0
    hu[4:44, np.hypot(y - 120, x - 160) < 12] = -1000
    assert not find_airways(hu, np.ones(hu.shape, bool), SPACING, middle=80.0).any()
