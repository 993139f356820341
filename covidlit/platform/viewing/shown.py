"""What the slices and lesions of a scan are shown with, on whichever page."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.templatetags.static import static
from django.urls import reverse

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.rights import Right
from covidlit.platform.diseases.disease import Disease
from covidlit.platform.registry.models import Labelling, Patient, Scan
from covidlit.platform.viewing.drawing import WINDOWS
from covidlit.platform.viewing.planes import CORONAL, SAGITTAL
from covidlit.platform.viewing.reduced import SIZES
from covidlit.platform.viewing.slices import volume_of

NIIVUE = "vendor/niivue.js"


def scan_shown(scan: Scan, labelling: Labelling | None, disease: Disease) -> dict[str, Any]:
    """What `slices.html` and `lesions.html` need of a scan and one of its versions of a disease."""
    return {
        "scan": scan,
        "disease": disease,
        "labelling": labelling,
        "lesions": list(labelling.lesions.all()) if labelling else [],
        "others": [each for each in scan.patient.scans.all() if each.pk != scan.pk],
        "windows": list(WINDOWS.items()),
        "niivue": niivue_address(),
        "volume_sizes": SIZES,
        "first": scan.n_slices // 2,
        "axes": [
            (axis, reverse("plane", args=[scan.pk, axis, 0]), len(volume_of(scan, axis)))
            for axis in (CORONAL, SAGITTAL)
        ],
    }


def niivue_address() -> str:
    """Where NiiVue lies; empty where covidlit was built without it."""
    try:
        return static(NIIVUE)
    except ValueError:  # it is not among the files that were laid ready
        return ""


def notes_for(user: User, scan: Scan) -> str:
    """The reader's notes, for those who `may_read_notes` of the patient."""
    return scan.notes if may_read_notes(user, scan.patient_id) else ""


def may_read_notes(user: User, patient_id: int, rights: Collection[Right] = tuple(Right)) -> bool:
    """Whether a person brings scans of a patient in, or may know who it is.

    Notes name files, which hospitals often name after patients.

    Args:
        user: who asks.
        patient_id: of the patient.
        rights: of the person that count here.
    """
    own = Patient.objects.filter(pk=patient_id)
    wanted = [right for right in (Right.UPLOAD, Right.IDENTIFY) if right in rights]
    return any(own.seen_by(user, right).exists() for right in wanted)
