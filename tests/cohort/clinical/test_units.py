"""Conversion of units against figures worked out by hand, and round trips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covidlit.cohort.clinical import INDICATORS, convert
from covidlit.cohort.clinical.units import ALBUMIN, HAEMOGLOBIN_MONOMER, factor, other_units
from covidlit.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        (7.2, "G/L", "10^9/L", 7.2),
        (7.2, "x10^9/L", "10^9/L", 7.2),
        (7.2, "×10⁹ / L", "10^9/L", 7.2),
        (7.2, "10*9/L", "10^9/L", 7.2),
        (7.2, "10E9/L", "10^9/L", 7.2),
        (7.2, "10e9/l", "10^9/L", 7.2),
        (7.2, "E9/L", "10^9/L", 7.2),
        (7.2, "K/uL", "10^9/L", 7.2),
        (7.2, "10^3/µL", "10^9/L", 7.2),
        (7.2, "x10³/μl", "10^9/L", 7.2),  # the Greek letter, not the micro sign
        (7.2, "Tsd/µl", "10^9/L", 7.2),
        (7.2, "/nL", "10^9/L", 7.2),
        (7200, "/uL", "10^9/L", 7.2),
        (7200, "/mm3", "10^9/L", 7.2),
        (7200, "cells/mm³", "10^9/L", 7.2),
        (7200, "/cumm", "10^9/L", 7.2),
        (1.8, "lakh/cumm", "10^9/L", 180.0),
        (7.2, "109/L", "10^9/L", 7.2),
        (7.2, "10 9/L", "10^9/L", 7.2),
        (7.2, "x 10 9 / l", "10^9/L", 7.2),
        (7.2, "10 exp 9/L", "10^9/L", 7.2),
        (7.2, "103/uL", "10^9/L", 7.2),
        (7.2, "x 103/mm3", "10^9/L", 7.2),
        (7.2, "10^9 cells per litre", "10^9/L", 7.2),
        (7200, "cells/cu.mm", "10^9/L", 7.2),
        (7200, "Cells / cu. mm.", "10^9/L", 7.2),
        (7200, "cells per cubic millimetre", "10^9/L", 7.2),
        (7200, "/c.mm", "10^9/L", 7.2),
        (7200, "cells/microliter", "10^9/L", 7.2),
        (1.8, "lakhs/cu.mm", "10^9/L", 180.0),
        (4.5, "1012/L", "10^12/L", 4.5),
        (4.5, "10 12/L", "10^12/L", 4.5),
        (4.5, "106/uL", "10^12/L", 4.5),
        (4.5, "mill/cu.mm", "10^12/L", 4.5),
        (13.6, "gms%", "g/L", 136.0),
        (13.6, "Gms %", "g/L", 136.0),
        (13.6, "gm per dL", "g/L", 136.0),
        (13.6, "grams/decilitre", "g/L", 136.0),
        (1.2, "mg%", "mg/L", 12.0),
        (4.5, "T/L", "10^12/L", 4.5),
        (4.5, "M/uL", "10^12/L", 4.5),
        (4.5, "Mio/µl", "10^12/L", 4.5),
        (4500000, "/uL", "10^12/L", 4.5),
        (13.6, "g/dL", "g/L", 136.0),
        (13.6, "g%", "g/L", 136.0),
        (136, "g/l", "g/L", 136.0),
        (8.0, "mmol/L", "g/L", 128.912),  # 8 x 16.114
        (41.2, "%", "percent", 41.2),
        (0.412, "L/L", "percent", 41.2),
        (0.62, "fraction", "percent of leukocytes", 62.0),
        (0.5, "ukat/L", "U/L", 30.0),
        (0.5, "µkat/l", "U/L", 30.0),
        (500, "nkat/L", "U/L", 30.0),
        (30, "IU/L", "U/L", 30.0),
        (30, "[IU]/L", "U/L", 30.0),
        (12, "kPa", "mmHg", 90.00744),
        (90, "mm Hg", "mmHg", 90.0),
        (1.2, "mg/dL", "mg/L", 12.0),
    ],
)
def test_worked_out_by_hand(value: float, unit: str, to: str, expected: float) -> None:
    assert convert(value, unit, to, HAEMOGLOBIN_MONOMER) == pytest.approx(expected, rel=1e-9)


def test_mass_and_amount_of_another_substance() -> None:
    # Creatinine of 1 mg/dL is 88.4 umol/L.
    assert convert(1.0, "mg/dL", "umol/L", 113.12) == pytest.approx(88.4017, rel=1e-5)
    assert convert(600.0, "umol/L", "g/L", ALBUMIN) == pytest.approx(39.9)


@pytest.mark.parametrize(
    ("unit", "to", "said"),
    [
        ("furlong", "g/L", "g/dL"),
        ("g/dL", "10^9/L", "K/uL"),
        ("/uL", "g/L", "g/dL"),  # g/L is grams here, and giga per litre elsewhere
        ("%", "10^9/L", "K/uL"),
        ("mmol/L", "10^9/L", "K/uL"),
        ("U/L", "mmHg", "kPa"),
        ("", "U/L", "ukat/L"),
    ],
)
def test_a_unit_of_something_else_is_refused_with_what_is_known(
    unit: str, to: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        factor(unit, to)
    assert said in str(caught.value.fix)
    assert repr(unit) in caught.value.what


@given(
    value=st.floats(0.01, 1e5),
    name=st.sampled_from(sorted(INDICATORS)),
    pick=st.integers(0, 100),
)
def test_there_and_back_is_the_same(value: float, name: str, pick: int) -> None:
    to = INDICATORS[name].unit
    units = other_units(to)
    if not units:
        return
    unit = units[pick % len(units)]
    there = convert(value, to, unit) if not to.startswith("percent") else value / factor(unit, to)
    assert convert(there, unit, to) == pytest.approx(value, rel=1e-9)
