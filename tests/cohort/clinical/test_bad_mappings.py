"""Mappings that do not say what a table means: refused by the key, with the name that is meant."""

from __future__ import annotations

from typing import Any

import clinical_tables as hospital
import pytest

from covidlit.cohort.clinical import load_mapping
from covidlit.errors import ConfigError


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"patiens": "MRN"}, "did you mean patients"),
        ({"labs": {"haemoglobin": {"names": "Hb", "unit": "g/L"}}}, "haemoglobin_g_per_l"),
        ({"labs": {"haemoglobin_g_per_l": {"names": "Hb", "unit": "stone"}}}, "'stone'"),
        ({"labs": {"haemoglobin_g_per_l": {"names": "Hb"}}}, "say the unit"),
        ({"labs": {"alt_u_per_l": {"name": "ALT", "unit": "U/L"}}}, "did you mean names"),
        ({"sex": {"column": "Sex", "map": {"1": "male"}}}, "must be F or M"),
        ({"layout": "long"}, "long: {test, value}"),
        ({"date_order": "ydm"}, "ymd"),
        ({"date": None, "index_date": None}, "origin"),
    ],
)
def test_a_mapping_that_does_not_fit(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_mapping(hospital.changed(**change))
    assert said in str(caught.value)


def test_the_shipped_mappings_can_be_read_and_a_misspelt_one_is_suggested() -> None:
    for name in ("example_wide", "example_long", "synthetic", "wuhan_2020"):
        assert load_mapping(name).numbers
    with pytest.raises(ConfigError, match="did you mean wuhan_2020"):
        load_mapping("wuhan_2002")
