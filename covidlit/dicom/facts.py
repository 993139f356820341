"""Facts about a series that do not identify the patient, in plain types and named units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date
from math import isfinite
from typing import TypeVar

from covidlit.dicom.series import Series

Value = TypeVar("Value")
_AGE_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 1 / 52.1775, "D": 1 / 365.2425}


def metadata_of(series: Series) -> dict[str, object]:
    """Facts about scan and patient that do not identify the patient; None where unknown.

    Returns:
        manufacturer, scanner_model, kernel, kvp (kV), exposure_mas, slice_thickness_mm,
        spacing_mm (between neighbouring pixels), rows, columns, n_slices, age (years), sex,
        acquisition_date (ISO).
    """
    facts = _first_known(image.facts for image in series.images)
    frames, image = series.frames, series.images[0]
    spacing = _most_common(frame.pixel_spacing for frame in frames)
    acquired = _acquired(facts)
    return {
        "manufacturer": facts.get("manufacturer") or None,
        "scanner_model": facts.get("model") or None,
        "kernel": _most_common(frame.kernel or None for frame in frames),
        "kvp": _number(facts.get("kvp", "")),
        "exposure_mas": _number(facts.get("exposure_mas", "")),
        "slice_thickness_mm": _most_common(frame.thickness for frame in frames),
        "spacing_mm": None if spacing is None else spacing[0],
        "rows": image.rows,
        "columns": image.columns,
        "n_slices": len(frames),
        "age": _age(facts, acquired),
        "sex": facts["sex"] if facts.get("sex") in ("F", "M", "O") else None,
        "acquisition_date": None if acquired is None else acquired.isoformat(),
    }


def _first_known(all_facts: Iterable[dict[str, str]]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for facts in all_facts:
        merged.update(
            {name: value for name, value in facts.items() if value and name not in merged}
        )
    return merged


def _most_common(values: Iterable[Value | None]) -> Value | None:
    counted = Counter(value for value in values if value is not None)
    return counted.most_common(1)[0][0] if counted else None


def _number(text: str) -> float | None:
    try:
        value = float(text.split("\\")[0])
    except ValueError:
        return None
    return value if isfinite(value) else None


def _acquired(facts: dict[str, str]) -> date | None:
    for name in (
        "acquisition_date", "acquisition_datetime", "content_date", "series_date", "study_date"
    ):  # fmt: skip
        found = _date(facts.get(name, ""))
        if found is not None:
            return found
    return None


def _date(text: str) -> date | None:
    digits = text.replace(".", "")[:8]
    if len(digits) != 8 or not digits.isdigit():
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def _age(facts: dict[str, str], acquired: date | None) -> float | None:
    """Whole years, from PatientAge or else from the birth date, which itself goes no further."""
    text = facts.get("age", "").upper()
    if len(text) == 4 and text[:3].isdigit() and text[3] in _AGE_UNITS:
        return float(int(int(text[:3]) * _AGE_UNITS[text[3]]))
    born = _date(facts.get("birth_date", ""))
    if born is None or acquired is None or acquired < born:
        return None
    had_birthday = (acquired.month, acquired.day) >= (born.month, born.day)
    return float(acquired.year - born.year - (not had_birthday))
