"""Whose a scan is and of which day, without what identifies the patient."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from covidlit.cohort.pseudonyms import Pseudonyms, read_or_make_key
from covidlit.cohort.scan_sources import ScanSource
from covidlit.dicom.facts import metadata_of
from covidlit.errors import CovidlitError

KEY_FILE = "pseudonyms.key"
"""Of the patients that no manifest names: in the folder of the results, for its owner only."""


class Identity(NamedTuple):
    """Patient and day of a scan.

    Args:
        patient_id: as in the manifest, or a keyed pseudonym of the PatientID; empty where neither
            is known.
        date: ISO; empty where it is unknown, or moved by a de-identification.
    """

    patient_id: str = ""
    date: str = ""


def identify(source: ScanSource, out_dir: Path) -> Identity:
    """Patient and day of a scan, from its manifest or its DICOM headers; pixels are not read.

    Args:
        source: of the scan.
        out_dir: holds, or gets, the key of the pseudonyms.

    Raises:
        ManifestError: the key cannot be read or made.
    """
    if source.patient_id:
        return Identity(source.patient_id, source.acquisition_date)
    if source.series is None:
        return Identity()
    try:
        series = source.series()
    except CovidlitError:
        return Identity()  # said when the scan is read
    facts = metadata_of(series)
    date = "" if facts["acquisition_date_moved"] else str(facts["acquisition_date"] or "")
    raw = series.images[0].patient_id or series.images[0].study_uid
    if not raw:
        return Identity("", date)
    return Identity(Pseudonyms(read_or_make_key(out_dir / KEY_FILE)).patient(raw), date)
