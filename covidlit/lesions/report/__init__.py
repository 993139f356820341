"""The patient's report, as a page and as PDF: slices, factors, trend, and what they cannot say."""

from covidlit.lesions.report.content import CorrectionMade
from covidlit.lesions.report.patient import DOCUMENT, write_patient_report

__all__ = ["DOCUMENT", "CorrectionMade", "write_patient_report"]
