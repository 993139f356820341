"""The platform from a program, through its REST API; works where Django is not installed.

from covidlit.platform.client import Platform

with Platform("http://127.0.0.1:8000", token="covidlit_...") as platform:
    for patient in platform.patients():
        for scan in patient.scans():
            print(scan.scan_id, scan.plane(0).shape)
    table = platform.factors()

connection    requests by HTTP: tried again after a break, errors as ours
row, jobs     what is answered as an object; long work, waited for
rows          patients, scans, labellings, lesions, uploads
grading, correcting, clinical, results    what is done with scans; what goes out
sending       a folder sent in pieces, from where it broke off
platform      all of it
"""

from covidlit.platform.client.clinical import Clinical, ClinicalTable, Severity
from covidlit.platform.client.connection import PlatformError
from covidlit.platform.client.correcting import Correction, Draft
from covidlit.platform.client.grading import Grade, Standing, Waiting
from covidlit.platform.client.jobs import Job
from covidlit.platform.client.platform import Platform
from covidlit.platform.client.results import Export, Sendable, Sending
from covidlit.platform.client.rows import Labelling, Lesion, Patient, Scan, Upload
from covidlit.platform.client.sending import Progress

__all__ = [
    "Clinical", "ClinicalTable", "Correction", "Draft", "Export", "Grade", "Job", "Labelling",
    "Lesion", "Patient", "Platform", "PlatformError", "Progress", "Scan", "Sendable", "Sending",
    "Severity", "Standing", "Upload", "Waiting",
]  # fmt: skip
