"""A report per patient, as page and PDF, of the latest scan, with the trend over those before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.files import fingerprint
from covidlit.lesions.report import DOCUMENT, CorrectionMade, write_patient_report
from covidlit.names import is_name
from covidlit.quantify.scan import Quantified

REPORTS = "reports"


def write_report(
    done: Quantified,
    history: Sequence[Mapping[str, Any]],
    out_dir: Path,
    drawn_by: str,
    corrections: Sequence[CorrectionMade] = (),
) -> Quantified:
    """Write, or replace, page and PDF of a scan's patient; returns the scan with these files.

    Args:
        done: the scan, with its volume and labels.
        history: rows of factors of the patient's scans, by date, its own the last.
        out_dir: folder of the results.
        drawn_by: what drew the labels.
        corrections: of scans, those of the patient's are said.
    """
    assert done.scan is not None
    assert done.labels is not None
    path = out_dir / REPORTS / f"{_page_name(str(done.factors['patient_id']))}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    own = {str(row["scan_id"]) for row in history}
    write_patient_report(
        done.scan,
        done.labels.classes,
        done.labels.instances,
        done.factors,
        done.lesions,
        path,
        history=pd.DataFrame(history) if len(history) > 1 else None,
        changes=pd.DataFrame(done.changes),
        spread=pd.DataFrame(done.spread),
        severity=done.severity,
        corrections=[one for one in corrections if one.scan_id in own],
        drawn_by=drawn_by,
        notes=(*done.scan.notes, *done.notes),
    )
    written = [str(each.relative_to(out_dir)) for each in (path, path.with_suffix(DOCUMENT))]
    files = dict.fromkeys([*done.files, *written])
    return replace(done, files=tuple(files))


def _page_name(patient_id: str) -> str:
    """A patient's id where it can name a file, else a hash of it."""
    return patient_id if is_name(patient_id) else f"patient-{fingerprint(patient_id)[:12]}"
