"""What the slices and lesions of a scan are shown with, on whichever page."""

from __future__ import annotations

from typing import Any

from covidlit.platform.registry.models import Labelling, Scan
from covidlit.platform.viewing.drawing import WINDOWS


def scan_shown(scan: Scan, labelling: Labelling | None) -> dict[str, Any]:
    """What `slices.html` and `lesions.html` need.

    Args:
        scan: that is shown.
        labelling: the version that is; None: it has not been measured yet.
    """
    return {
        "scan": scan,
        "labelling": labelling,
        "lesions": list(labelling.lesions.all()) if labelling else [],
        "others": [each for each in scan.patient.scans.all() if each.pk != scan.pk],
        "windows": list(WINDOWS),
        "first": scan.n_slices // 2,
    }
