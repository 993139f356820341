"""Patient ids that are written in different ways and may be of one person."""

from __future__ import annotations

import re
import unicodedata

_NUMBER = re.compile(r"0*(\d+?)(?:\.0+)?")


def same_patient(patient: str) -> str:
    """A patient id without what people and systems write in one way or another."""
    return "".join(
        "-" if unicodedata.category(c) == "Pd" else c for c in visible(patient).casefold()
    )


def visible(text: str) -> str:
    """A text without blanks and characters that nobody sees, such as DICOM's padding by NUL."""
    kept = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c)[0] != "C")
    return "".join("".join(kept).split())


def without_zeros(patient: str) -> str:
    """A patient id as a spreadsheet leaves it that takes it for a number: 00123 or 123.0 as 123."""
    same = same_patient(patient)
    number = _NUMBER.fullmatch(same)
    return number[1] if number else same
