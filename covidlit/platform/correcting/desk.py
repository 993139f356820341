"""What the page of a draft shows, and the address of a place in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from covidlit.lesions.edits import EditKind
from covidlit.platform.accounts.models import User
from covidlit.platform.correcting.drafts import draft_of, waiting_for
from covidlit.platform.correcting.labels import edited
from covidlit.platform.correcting.models import Correction
from covidlit.platform.diseases.disease import Disease
from covidlit.platform.registry.followed import newest_labelling
from covidlit.platform.registry.models import Scan
from covidlit.platform.viewing.drawing import WINDOWS, shown_shape
from covidlit.platform.viewing.slices import volume_of
from covidlit.scans.lesion_labels import LESION_CLASSES

KINDS = {
    EditKind.NEW: "draw a new lesion",
    EditKind.REPLACE: "replace the contour of the lesion on this slice",
    EditKind.ADD: "add what is drawn to the lesion",
    EditKind.CUT: "cut what is drawn off the lesion",
    EditKind.CLEAR: "take the lesion off this slice",
    EditKind.REMOVE: "remove the lesion from all slices",
    EditKind.RECLASSIFY: "change the class of the lesion",
}

_PLACE = ("slice", "lesion", "kind", "class", "window")


@dataclass(frozen=True)
class EditedLesion:
    """A lesion as a draft has it.

    Args:
        number: of it.
        kind: its class in words.
        slice_index: where it is shown, from 0.
        state: what the draft has done to it; empty: nothing.
    """

    number: int
    kind: str
    slice_index: int
    state: str


def desk_of(scan: Scan, disease: Disease, user: User, asked: Mapping[str, str]) -> dict[str, Any]:
    """What the page needs.

    Args:
        scan: that is corrected.
        disease: whose lesions are.
        user: whose draft.
        asked: slice (from 1), window, lesion, kind, class and points, as they are to stand there.
    """
    draft = draft_of(scan, disease.name, user)
    newest = newest_labelling(scan, disease.name)
    text = asked.get("slice", "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0
    place = number if 1 <= number <= scan.n_slices else scan.n_slices // 2 + 1
    volume = volume_of(scan)
    rows, columns = shown_shape(volume.shape, volume.spacing)
    edits = list(draft.edits.all()) if draft else []
    return {
        "scan": scan,
        "disease": disease,
        "draft": draft,
        "newest": newest,
        "is_old": draft is not None and newest is not None and draft.corrects_id != newest.pk,
        "waiting": waiting_for(scan, disease.name),
        "lesions": _lesions(draft, disease) if draft else [],
        "edits": edits,
        "state": f"{draft.pk}-{draft.corrects_id}-{edits[-1].pk if edits else 0}" if draft else "",
        "place": place,
        "index": place - 1,
        "width": columns,
        "height": rows,
        "windows": list(WINDOWS),
        "kinds": [(kind.value, words) for kind, words in KINDS.items()],
        "classes": [(LESION_CLASSES[value], words) for value, words in disease.values.items()],
        "chosen": {name: asked.get(name, "")[:40] for name in (*_PLACE, "leaves")},
        "points": asked.get("points", "")[:4000],
    }


def address_of(scan: Scan, disease: Disease, asked: Mapping[str, str], **other: Any) -> str:
    """The page at the place that a form was sent from."""
    kept = {name: asked.get(name, "")[:40] for name in _PLACE} | other | {"disease": disease.name}
    query = urlencode({name: value for name, value in kept.items() if value})
    return f"{reverse('correct', kwargs={'pk': scan.pk})}?{query}"


def _lesions(draft: Correction, disease: Disease) -> list[EditedLesion]:
    before = {lesion.number: lesion for lesion in draft.corrects.lesions.all()}
    labels = edited(draft)
    edits = [row for row in draft.edits.all() if not row.left_out]
    found = []
    for number in sorted({*before, *labels.classes_of, *labels.removed}):
        own = [row for row in edits if row.lesion == number]
        places = [row.slice_index for row in own if row.slice_index is not None]
        value = labels.classes_of.get(number)
        if value is None:
            if number not in before:
                continue
            state, kind = "removed", before[number].kind
        else:
            kind = LESION_CLASSES[value]
            state = "new" if number not in before else "changed" if own else ""
        at = places[-1] if places else before[number].slice_index if number in before else 0
        found.append(EditedLesion(number, disease.words_of(kind), at, state))
    return found
