"""The cohorts that can be made: `mild`, `lesions` and `severity`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np

from covidlit.errors import ConfigError
from covidlit.synthetic.cases import COHORT_END, Case, plan_patients
from covidlit.synthetic.streams import stream

PRESETS = ("mild", "lesions", "severity")

MILD_VOLUME_ML = (110.0, 0.35, 50.0, 220.0)
"""Lesions of mild pneumonia, COVID-19 and CAP alike: median, sigma of the log, least, most."""

EXTENSIVE_VOLUME_ML = (130.0, 0.8, 10.0, 700.0)
"""Lesions of the preset `lesions`."""


def plan_cohort(preset: str, n_scans: int, seed: int) -> list[Case]:
    """Plan every scan of a cohort.

    Args:
        preset: "mild" (one scan per patient, the CSAC-Net paper), "lesions" (one scan per patient,
            extensive lesions of all five classes) or "severity" (COVID-19 patients, half of them
            severe, scanned 1 to 4 times).
        n_scans: number of scans, >= 1.
        seed: of the whole cohort.

    Raises:
        ConfigError: an unknown preset or a number out of range.
    """
    if preset not in PRESETS:
        raise ConfigError(
            f"there is no preset {preset!r}.", where="preset", fix=f"use one of {PRESETS}."
        )
    if n_scans < 1 or seed < 0:
        raise ConfigError(
            f"n_scans must be at least 1 and seed at least 0, got {n_scans} and {seed}.",
            where="make_cohort",
        )
    if preset == "severity":
        return _plan_severity(n_scans, seed)
    law = MILD_VOLUME_ML if preset == "mild" else EXTENSIVE_VOLUME_ML
    cases = []
    for case in plan_patients(n_scans, seed):
        volume = 0.0
        if case.class_name != "np" or case.aetiology == "other":
            volume = _draw_volume(case.generator("volume"), law)
        if preset == "lesions":
            grade = case.severity and "moderate"
            case = replace(case, varied_lesions=True, severity=grade)
        cases.append(replace(case, lesion_volume_ml=volume))
    return cases


def _draw_volume(
    rng: np.random.Generator, law: tuple[float, float, float, float], scale: float = 1.0
) -> float:
    median, sigma, least, most = law
    return float(np.clip(median * scale * np.exp(rng.normal(0, sigma)), least, most))


def _plan_severity(n_scans: int, seed: int) -> list[Case]:
    """Patients of whom half are severe; lesions grow to about day 10, then shrink."""
    rng = stream(seed, "visits")
    visits: list[int] = []
    while sum(visits) < n_scans:
        visits.append(int(rng.choice([1, 2, 3, 4], p=[0.2, 0.3, 0.3, 0.2])))
    visits[-1] -= sum(visits) - n_scans
    half = rng.permutation(np.arange(len(visits)) % 2 == 1)
    cases: list[Case] = []
    for patient, case in enumerate(plan_patients(len(visits), seed, ("covid",))):
        draw = stream(seed, "course", patient)
        severe = bool(half[patient])
        grade = "moderate"
        if severe:
            grade = "critical" if draw.random() < 0.3 else "severe"
        days = np.sort(draw.choice(np.arange(1, 25), visits[patient], replace=False))
        peak = _draw_volume(draw, (320.0, 0.7, 60.0, 1500.0) if severe else (80.0, 0.8, 8.0, 500.0))
        turn, width = draw.normal(11 if severe else 8, 1.5), (9.0 if severe else 7.0)
        onset = min(case.acquired, COHORT_END - timedelta(days=int(days[-1])))
        age = int(np.clip(case.age + (8 if severe else -4), 18, 92))
        for visit, day in enumerate(days):
            volume = max(5.0, peak * float(np.exp(-(((day - turn) / width) ** 2))))
            cases.append(
                replace(
                    case,
                    index=len(cases),
                    patient=patient,
                    visit=visit,
                    age=age,
                    severe=severe,
                    spo2_percent=int(draw.integers(84, 93) if severe else draw.integers(93, 100)),
                    severity=grade,
                    day=int(day),
                    acquired=onset + timedelta(days=int(day)),
                    lesion_volume_ml=volume,
                )
            )
    return cases
