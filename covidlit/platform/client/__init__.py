"""The platform from a program, through its REST API; works where Django is not installed.

from covidlit.platform.client import Platform

with Platform("http://127.0.0.1:8000", token="covidlit_...") as platform:
    for patient in platform.patients():
        for scan in patient.scans():
            print(scan.scan_id, scan.plane(0).shape)
    table = platform.factors()

connection    requests by HTTP: tried again after a break, errors as ours
rows          patients, scans, labellings, lesions, jobs, uploads
sending       a folder sent in pieces, from where it broke off
platform      all of it
"""

from covidlit.platform.client.connection import PlatformError
from covidlit.platform.client.platform import Platform
from covidlit.platform.client.rows import Job, Labelling, Lesion, Patient, Scan, Upload
from covidlit.platform.client.sending import Progress

__all__ = [
    "Job", "Labelling", "Lesion", "Patient", "Platform", "PlatformError", "Progress", "Scan",
    "Upload",
]  # fmt: skip
