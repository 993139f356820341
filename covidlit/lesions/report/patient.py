"""The report of a patient: the page, and beside it the same as a document to print and to file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.lesions.report.content import CorrectionMade, content_of
from covidlit.lesions.report.page import write_page
from covidlit.lesions.report.scene import scene
from covidlit.lesions.report.severity import Severity
from covidlit.scans.scan import Scan

DOCUMENT = ".pdf"
"""Ending of the document, whose name is that of the page."""


def write_patient_report(
    scan: Scan,
    classes: NDArray[np.uint8],
    instances: NDArray[np.integer[Any]],
    factors: Mapping[str, Any],
    lesions: pd.DataFrame,
    path: str | Path,
    *,
    history: pd.DataFrame | None = None,
    changes: pd.DataFrame | None = None,
    spread: pd.DataFrame | None = None,
    severity: Severity | None = None,
    corrections: Sequence[CorrectionMade] = (),
    drawn_by: str = "",
    notes: Sequence[str] = (),
) -> Path:
    """Write the report of a patient's scan, as a page and, beside it, as PDF; returns the page.

    Key slices with contours, the lungs and lesions to turn in space (on the page alone), the
    factors with units, the lesions, the trend where there are several scans, the severity where a
    model has scored it, who has corrected what, and what the numbers cannot say.

    Args:
        scan: canonical.
        classes, instances: (z, y, x), contract 7.
        factors: the scan's row of contract 8.
        lesions: its lesions of contract 8; further columns are left alone.
        path: of the page, ending in .html.
        history: the patient's rows of contract 8, of other dates too.
        changes: of `covidlit.lesions.trend.changes_table`; those of the scan since the one before
            are shown.
        spread: of `covidlit.lesions.spread`: the factors under other definitions.
        severity: of the scan, by a trained model; a report without one has no such section.
        corrections: of the patient's scans, by people.
        drawn_by: what drew the lesions, such as the checkpoint's name.
        notes: further remarks, such as those of the objects that were written.

    Raises:
        CovidlitError: labels of another shape than the scan.
        ManifestError: a history of another patient.
    """
    # What sets the document takes a quarter of a second to import, and a server never writes one.
    from covidlit.lesions.report.document import write_document

    content = content_of(
        scan, classes, instances, factors, lesions, history=history, changes=changes,
        spread=spread, severity=severity, corrections=corrections, drawn_by=drawn_by, notes=notes,
    )  # fmt: skip
    page = Path(path)
    write_document(content, page.with_suffix(DOCUMENT))
    return write_page(content, scene(classes, instances, lesions, scan.affine), page)
