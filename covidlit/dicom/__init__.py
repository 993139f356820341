"""DICOM series in: find them, hold them against checks, read one into a Scan."""

from covidlit.dicom.assess import judge
from covidlit.dicom.checks import CHECKS, Checks
from covidlit.dicom.find import find_series
from covidlit.dicom.pseudonym import pseudonym_uid
from covidlit.dicom.read import choose_series, looked_into, read_series
from covidlit.dicom.series import FileProblem, Found, Frame, ImageFile, Series
from covidlit.dicom.verdict import Finding, SeriesRefused, Verdict

__all__ = [
    "CHECKS",
    "Checks",
    "FileProblem",
    "Finding",
    "Found",
    "Frame",
    "ImageFile",
    "Series",
    "SeriesRefused",
    "Verdict",
    "choose_series",
    "find_series",
    "judge",
    "looked_into",
    "pseudonym_uid",
    "read_series",
]
