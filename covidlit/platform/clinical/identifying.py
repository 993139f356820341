"""Columns of a clinical table that tell who a patient is, which the platform does not keep.

Beside what contract 9 names, a table may bring further numbers and groups: of a hospital's own
table those that its mapping names, of another one whatever there is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from covidlit.cohort.clinical.indicators import INDICATORS
from covidlit.cohort.clinical.read_people import DATES, STATIC
from covidlit.platform.registry.models import Identity
from covidlit.platform.registry.searched import name_searched, number_searched

_CLOSED = {"patient_id", "date", "severity", "comorbidity_count", *INDICATORS, *DATES, *STATIC}
_FLAGS = ("comorbidity_", "symptom_")
_OPEN_TEXT = ("epidemiology", "centre")
"""Of contract 9: columns that hold whatever somebody wrote."""

_NAMES = re.compile(
    r"(^|_)((first|last|fore|sur|given|family|full|vor|nach)?_?name|mrn|pid|dob|ssn|id|ident\w*"
    r"|(patient|hospital|case|medical|record|insurance|passport|phone|fall|telefon)\w*"
    r"_?(id|no|nr|num|number|nummer)|tel|(tele|mobile_?)?phone|telefon|mobile|e?_?mail|address"
    r"|adresse|street|strasse|zip|plz|post_?code|postal\w*|passport|insurance|birth\w*|born|geb\w*)"
    r"(_|$)"
)
"""In names of columns, in small letters."""

_LEAST_NUMBER = 10_000
_LEAST_WORD = 3


def identifying(table: pd.DataFrame, identities: Mapping[str, Identity]) -> list[str]:
    """Columns that tell who patients are, by their name or by what they hold.

    Args:
        table: contract 9 with the hospital's numbers as `patient_id`, and further columns.
        identities: of those of its patients who are known here, by that number.
    """
    return [
        str(name)
        for name in table
        if not str(name).startswith(_FLAGS)
        and (name not in _CLOSED or name in _OPEN_TEXT)
        and _tells(table, str(name), identities)
    ]


def _tells(table: pd.DataFrame, name: str, identities: Mapping[str, Identity]) -> bool:
    own = table[["patient_id", name]].dropna()
    if own.empty or pd.api.types.is_bool_dtype(own[name]):
        return False
    if name not in _OPEN_TEXT and _NAMES.search(name.casefold()):
        return True
    texts = own[name].map(_text)
    if any(
        _is_of(text, str(patient), identities.get(str(patient)))
        for patient, text in zip(own["patient_id"], texts, strict=True)
    ):
        return True
    return name not in _OPEN_TEXT and _tells_apart(own["patient_id"], own[name], texts)


def _is_of(text: str, number: str, identity: Identity | None) -> bool:
    """Whether a text is the number, the birth date or a part of the name of its patient."""
    plain = number_searched(text).lstrip("0")
    if plain and plain == number_searched(number).lstrip("0"):
        return True
    if identity is None:
        return False
    if identity.birth_date is not None:
        day = identity.birth_date
        if text[:10] in {
            f"{day:{form}}" for form in ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%m/%d/%Y")
        }:
            return True
    words = {word for word in name_searched(identity.name).split() if len(word) >= _LEAST_WORD}
    return bool(words & set(name_searched(text).split()))


def _tells_apart(patients: pd.Series, values: pd.Series, texts: pd.Series) -> bool:
    """Whether each patient has a value of his own: a text, or a number that counts nothing."""
    if pd.api.types.is_numeric_dtype(values):
        if not ((values % 1 == 0) & (values.abs() >= _LEAST_NUMBER)).all():
            return False
    elif patients.nunique() < 2:
        return False
    pairs = pd.DataFrame({"patient": patients, "text": texts}).drop_duplicates()
    return not (pairs["patient"].duplicated().any() or pairs["text"].duplicated().any())


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
