"""Synthetic laboratory values and histories, shifted with severity in the published directions.

Directions: lymphocytes, eosinophils, platelets, albumin and PaO2 fall, leukocytes, neutrophils,
ALT and AST rise with severe COVID-19 (Guan et al., NEJM 2020; Henry et al., CCLM 2020). The sizes
are chosen, not fitted: no patient stands behind them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from covidlit.synthetic.cases import Case

# Indicator: mean in men without severe disease, shift in women, shift when severe, spread.
_NORMAL: dict[str, tuple[float, float, float, float]] = {
    "red_cells_1e12_per_l": (4.75, -0.45, -0.25, 0.42),
    "haemoglobin_g_per_l": (142.0, -16.0, -7.0, 13.0),
    "haematocrit_percent": (41.5, -4.0, -2.0, 3.6),
    "platelets_1e9_per_l": (205.0, 12.0, -28.0, 58.0),
    "albumin_g_per_l": (40.5, -0.5, -5.5, 4.0),
    "pao2_mmhg": (87.0, 0.0, -17.0, 13.0),
}
_LOG_NORMAL: dict[str, tuple[float, float, float, float]] = {
    "leukocytes_1e9_per_l": (5.2, -0.04, 0.28, 0.32),
    "alt_u_per_l": (25.0, -0.2, 0.35, 0.5),
    "ast_u_per_l": (26.0, -0.1, 0.42, 0.42),
}
# Shares of the leukocytes, percent: typical value, change of its logarithm when severe, spread.
_SHARES: dict[str, tuple[float, float, float]] = {
    "neutrophil": (65.0, 0.0, 0.10),
    "lymphocyte": (25.0, -0.75, 0.38),
    "monocyte": (7.5, -0.30, 0.30),
    "eosinophil": (1.1, -0.90, 0.80),
}
_LOWEST = {"albumin_g_per_l": 15.0, "pao2_mmhg": 35.0, "platelets_1e9_per_l": 20.0}
MISSING = 0.03
"""Share of the values that were not measured."""


def laboratory(rng: np.random.Generator, sex: str, strength: float) -> dict[str, float | None]:
    """The 17 indicators of one day.

    Args:
        rng: random stream.
        sex: "F" or "M".
        strength: 0 for the typical patient without severe disease, 1 for the typical severe one.
    """
    woman = float(sex == "F")
    values: dict[str, float] = {}
    for name, (mean, female, severe, spread) in _NORMAL.items():
        drawn = mean + woman * female + strength * severe + rng.normal(0, spread)
        values[name] = max(drawn, _LOWEST.get(name, 0.3 * mean))
    for name, (median, female, severe, spread) in _LOG_NORMAL.items():
        change = woman * female + strength * severe + rng.normal(0, spread)
        values[name] = median * float(np.exp(change))
    share = {
        name: typical * float(np.exp(strength * severe + rng.normal(0, spread)))
        for name, (typical, severe, spread) in _SHARES.items()
    }
    whole = sum(share.values()) / 99.4  # basophils take the rest
    for name, part in share.items():
        percent = round(part / whole, 2)
        values[f"{name}_percent"] = percent
        values[f"{name}s_1e9_per_l"] = values["leukocytes_1e9_per_l"] * percent / 100
    return {
        name: None if rng.random() < MISSING else round(values[name], 2) for name in sorted(values)
    }


def clinical_table(cases: list[Case]) -> pd.DataFrame:
    """The clinical table of a cohort with repeated scans: one row per patient and day of a scan."""
    rows = []
    days: dict[int, list[int]] = {}
    for case in cases:
        days.setdefault(case.patient, []).append(case.day)
    for case in cases:
        rng, person = case.generator("laboratory"), case.patient_generator("history")
        level = float(case.severe) + person.normal(0, 0.55)
        # The worst day is about the eleventh.
        course = 0.35 + 0.65 * float(np.exp(-(((case.day - 11) / 8) ** 2)))
        stay = max(days[case.patient]) - min(days[case.patient])
        rows.append({**_history(person, case, stay), **laboratory(rng, case.sex, level * course)})
    return pd.DataFrame(rows)


def _history(rng: np.random.Generator, case: Case, stay: int) -> dict[str, Any]:
    severe = case.severe
    died = severe and rng.random() < 0.15
    grew = severe and rng.random() < 0.5
    onset = case.acquired - timedelta(days=case.day)
    return {
        "patient_id": case.patient_id,
        "date": case.acquired.isoformat(),
        "onset_date": onset.isoformat(),
        "age": case.age,
        "sex": case.sex,
        "smoker": bool(rng.random() < (0.2 if severe else 0.12)),
        "comorbidity_count": int(rng.poisson(1.2 if severe else 0.5)),
        "epidemiology": str(rng.choice(["contact", "travel", "none known"], p=[0.5, 0.2, 0.3])),
        "symptom_fever": bool(rng.random() < 0.88),
        "symptom_cough": bool(rng.random() < 0.68),
        "symptom_fatigue": bool(rng.random() < 0.4),
        "symptom_dyspnoea": bool(rng.random() < (0.55 if severe else 0.15)),
        "severity": case.severity,
        "severity_at_admission": "moderate" if grew else case.severity,
        "progressed": grew,
        "outcome": "died" if died else "survived",
        "event_time_days": int(stay + rng.integers(1, 15)),
        "synthetic": True,
    }
