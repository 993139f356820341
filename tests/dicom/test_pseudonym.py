"""Texts that are kept or passed on do not hold the names of files."""

from __future__ import annotations

import pytest

from covidlit.dicom.pseudonym import without_file_names

NAMES = ["Doe_1", "Doe_1.dcm", "1.2.840.5.dcm", "12", "0012", "20190417", "IM1"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see Doe_1.dcm, Doe_1 frame 3.", "see a file, a file frame 3."),
        ("8 mm between 1.2.840.5.dcm at (1, 2, 3) mm", "8 mm between a file at (1, 2, 3) mm"),
        ("12 of 0012 slices (IM1)", "12 of 0012 slices (IM1)"),  # any number, and nobody
        ("20190417: truncated", "a file: truncated"),
        ("notDoe_1 and Doe_12", "notDoe_1 and Doe_12"),
        ("", ""),
    ],
)
def test_file_names_are_replaced(text: str, expected: str) -> None:
    assert without_file_names(text, NAMES) == expected
    assert without_file_names(text, []) == text
