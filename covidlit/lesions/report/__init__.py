"""The patient's report: one HTML file with slices, a 3D view, factors, trend and their limits."""

from covidlit.lesions.report.page import write_patient_report

__all__ = ["write_patient_report"]
