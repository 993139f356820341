"""The 17 clinical indicators: their units, and what a patient can have; without any schema."""

from __future__ import annotations

from typing import NamedTuple


class Indicator(NamedTuple):
    """A laboratory value: the unit it is held in, and what a living adult's can be.

    The limits catch a wrong unit (haemoglobin of 13.5 is g/dL), not an ill patient.
    """

    unit: str
    low: float
    high: float


INDICATORS: dict[str, Indicator] = {
    "leukocytes_1e9_per_l": Indicator("10^9/L", 0.01, 500),
    "neutrophils_1e9_per_l": Indicator("10^9/L", 0, 200),
    "lymphocytes_1e9_per_l": Indicator("10^9/L", 0, 200),
    "monocytes_1e9_per_l": Indicator("10^9/L", 0, 100),
    "eosinophils_1e9_per_l": Indicator("10^9/L", 0, 50),
    "neutrophil_percent": Indicator("percent of leukocytes", 0, 100),
    "lymphocyte_percent": Indicator("percent of leukocytes", 0, 100),
    "monocyte_percent": Indicator("percent of leukocytes", 0, 100),
    "eosinophil_percent": Indicator("percent of leukocytes", 0, 100),
    "red_cells_1e12_per_l": Indicator("10^12/L", 0.5, 10),
    "haemoglobin_g_per_l": Indicator("g/L", 20, 260),
    "haematocrit_percent": Indicator("percent", 5, 75),
    "platelets_1e9_per_l": Indicator("10^9/L", 0, 3000),
    "alt_u_per_l": Indicator("U/L", 0, 20000),
    "ast_u_per_l": Indicator("U/L", 0, 20000),
    "albumin_g_per_l": Indicator("g/L", 5, 80),
    "pao2_mmhg": Indicator("mmHg", 15, 700),
}
"""The severity paper's 17 clinical parameters (its Table 2), with units."""

SEVERITIES = ("mild", "moderate", "severe", "critical")
"""COVID-19 Diagnosis and Treatment Protocol, trial 7th edition; the paper merges the first two."""

OUTCOMES = ("survived", "died")
