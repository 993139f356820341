"""Where the files of scans and labellings lie."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from covidlit.platform.registry.models import Labelling, Scan

DICOM = "dicom"
"""In the folder of a scan: its files as they came."""

SCAN_PLANES, LABEL_PLANES = "planes.zip", "labels.zip"
"""Axial planes in the folder of a scan, and of a labelling; see `viewing.planes`."""


def source_files(scan: Scan) -> Path:
    """Where the files of a scan lie as they came."""
    return Path(settings.FOLDER.scans, scan.folder, DICOM)


def scan_planes(scan: Scan) -> Path:
    """Where the planes of a scan lie."""
    return Path(settings.FOLDER.scans, scan.folder, SCAN_PLANES)


def label_planes(labelling: Labelling) -> Path:
    """Where the planes of its labels lie."""
    return Path(settings.FOLDER.results, labelling.folder, LABEL_PLANES)
