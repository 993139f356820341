"""Facts of a header that cannot be, or that de-identification has moved: told, and not taken."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import isfinite

NOT_WHEN_MADE = "not taken for when it was made"
NEITHER = "neither age nor date is taken for true"
"""How the notes end that a person who knows better can mend."""

FIRST_CT = date(1971, 10, 1)
"""The first CT of a patient: J. Beckmann, Br. J. Radiol. 79 (2006) 5."""

OLDEST = 120.0
"""Years; the manifest's limit too."""

_AGE = re.compile(r"\d{1,3}[YMWD]")
_AGE_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 1 / 52.1775, "D": 1 / 365.2425}
_DATES = {
    "acquisition_date": "AcquisitionDate",
    "acquisition_datetime": "AcquisitionDateTime",
    "content_date": "ContentDate",
    "series_date": "SeriesDate",
    "study_date": "StudyDate",
}
_ONE_STUDY = timedelta(days=31)  # that its dates lie apart at most
_KVP = (40.0, 200.0)
_MAX_THICKNESS_MM = 50.0
_AGE_TOLERANCE = 1.0  # years


@dataclass
class Believed:
    """What can be believed of a header.

    Args:
        age: years; None where unknown.
        acquired: the day that the header names; None where none, or where it cannot be.
        moved: whether that day may be another than that of the scan.
        kvp, exposure_mas, thickness_mm: None where unknown or impossible.
        doubts: what is not taken, and why; never a birth date.
    """

    age: float | None = None
    acquired: date | None = None
    moved: bool = False
    kvp: float | None = None
    exposure_mas: float | None = None
    thickness_mm: float | None = None
    doubts: list[str] = field(default_factory=list)


def believed(
    facts: dict[str, str], thickness_mm: float | None = None, today: date | None = None
) -> Believed:
    """Hold the facts of a series against what can be and against each other.

    Args:
        facts: text of the elements by `covidlit.dicom.header.FACT_TAGS`.
        thickness_mm: of most slices.
        today: the day after which no scan can be; None: now.
    """
    found = Believed()
    _take_day(facts, found, today or date.today())
    _take_age(facts, found)
    _take_exposure(facts, found)
    kvp = _number(facts.get("kvp", ""))
    if kvp is not None and not _KVP[0] <= kvp <= _KVP[1]:
        found.doubts.append(f"KVP {kvp:g} is no tube voltage of a CT: not taken")
        kvp = None
    if thickness_mm is not None and not 0 < thickness_mm <= _MAX_THICKNESS_MM:
        found.doubts.append(f"SliceThickness {thickness_mm:g} mm cannot be: not taken")
        thickness_mm = None
    found.kvp, found.thickness_mm = kvp, thickness_mm
    return found


def _take_day(facts: dict[str, str], found: Believed, today: date) -> None:
    days = {name: day for name in _DATES if (day := _date(facts.get(name, "")))}
    # A scan of today may be dated tomorrow, in another time zone.
    possible = {
        name: day for name, day in days.items() if FIRST_CT <= day <= today + timedelta(days=1)
    }
    for name in days.keys() - possible.keys():
        when = "before there was CT" if days[name] < FIRST_CT else "after today"
        found.doubts.append(f"{_DATES[name]} {days[name]} is {when}: not taken")
    found.doubts.sort()
    if not possible:
        return
    first = next(iter(possible))
    found.acquired = possible[first]
    why = _why_moved(facts, possible, moved=len(possible) < len(days))
    if why:
        found.moved = True
        found.doubts.append(f"the date of the scan may have been moved ({why}): {NOT_WHEN_MADE}")


def _why_moved(facts: dict[str, str], days: dict[str, date], moved: bool) -> str:
    said = facts.get("dates_modified", "").upper()
    if said in ("MODIFIED", "REMOVED"):
        return f"LongitudinalTemporalInformationModified is {said}"
    if moved:
        return "another date of it cannot be"
    if max(days.values()) - min(days.values()) > _ONE_STUDY:
        first, last = min(days, key=lambda n: days[n]), max(days, key=lambda n: days[n])
        return f"{_DATES[first]} is {days[first]}, {_DATES[last]} {days[last]}"
    calibrated = [day for text in facts.get("calibrated", "").split("\\") if (day := _date(text))]
    if calibrated and min(calibrated) > max(days.values()) + _ONE_STUDY:
        return f"DateOfLastCalibration is {min(calibrated)}"
    if facts.get("identity_removed", "").upper() == "YES" and said != "UNMODIFIED":
        return "PatientIdentityRemoved is YES, and nothing says that dates were kept"
    return ""


def _take_age(facts: dict[str, str], found: Believed) -> None:
    """Whole years, from PatientAge or else from the birth date, which itself goes no further."""
    text = facts.get("age", "").strip().upper()
    born = _date(facts.get("birth_date", ""))
    at_scan = None if born is None or found.acquired is None else _years(born, found.acquired)
    if at_scan is not None and not 0 <= at_scan <= OLDEST:
        if not found.moved:
            found.doubts.append(
                "PatientBirthDate does not fit the date of the scan: no age was taken from it"
            )
        at_scan = None
    if not text:
        if at_scan is not None and found.moved:
            found.doubts.append("no PatientAge, and the dates may have been moved: age not known")
        elif at_scan is not None:
            found.age = float(at_scan)
        return
    age = None
    if _AGE.fullmatch(text):  # with leading zeros by the standard, without them by some makers
        age = int(text[:-1]) * _AGE_UNITS[text[-1]]
    if age is None or not 0 < age <= OLDEST:
        shown = f"PatientAge {text}" if re.fullmatch(r"\d+[A-Z]?", text) else "PatientAge"
        found.doubts.append(f"{shown} is no age of a patient: not taken")
    elif at_scan is not None and not found.moved and abs(int(age) - at_scan) > _AGE_TOLERANCE:
        found.moved = True
        found.doubts.append(
            f"PatientAge is {text}, but by PatientBirthDate the patient was {at_scan} years old on "
            f"the date of the scan: {NEITHER}"
        )
    else:
        found.age = float(int(age))


def _take_exposure(facts: dict[str, str], found: Believed) -> None:
    exposure = _number(facts.get("exposure_mas", ""))
    current = _number(facts.get("tube_current_ma", ""))
    time = _number(facts.get("exposure_time_ms", ""))
    product = None if current is None or time is None else current * time / 1000
    if exposure is None:
        return
    if exposure <= 0:
        beside = ""
        if product:
            beside = (
                f", but XRayTubeCurrent {current:g} mA for ExposureTime {time:g} ms make "
                f"{product:g} mAs"
            )
        found.doubts.append(f"Exposure is {exposure:g} mAs{beside}: not taken")
    elif product and 900 < exposure / product < 1100:
        found.doubts.append(
            f"Exposure {exposure:g} is in uAs, not in mAs (XRayTubeCurrent and ExposureTime make "
            f"{product:g} mAs): not taken"
        )
    else:
        found.exposure_mas = exposure


def _years(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _number(text: str) -> float | None:
    try:
        value = float(text.split("\\")[0])
    except ValueError:
        return None
    return value if isfinite(value) else None


def _date(text: str) -> date | None:
    digits = text.replace(".", "")[:8]
    if len(digits) != 8 or not digits.isdigit():
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
