"""Texts are of scans, or of patients where a row is one."""

from __future__ import annotations

from covidlit.evaluation.row_names import in_unit, page_in_unit


def test_sentences_are_of_patients_and_settings_stay() -> None:
    text = "Scans: 3 scans, one scan of data.scan_dates (scan_id), scanned."
    assert in_unit(text, "scan") == text
    expected = "Patients: 3 patients, one patient of data.scan_dates (scan_id), scanned."
    assert in_unit(text, "patient") == expected


def test_tags_and_code_of_a_page_stay() -> None:
    page = '<style>.scan {}</style><p title="scan">A <b>scan</b></p><pre>scan: 1</pre>&lt;scans'
    expected = (
        '<style>.scan {}</style><p title="scan">A <b>patient</b></p><pre>scan: 1</pre>&lt;patients'
    )
    assert page_in_unit(page, "patient") == expected
    assert page_in_unit(page, "scan") == page
