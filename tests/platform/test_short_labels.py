"""Labels that do not cover their scan, as masks from elsewhere may be."""

from __future__ import annotations

import numpy as np
import pytest
from correcting_drafts import NEW, annotator, refused
from django.conf import settings
from django.test import Client
from django.urls import reverse
from platform_world import N_SLICES, SIZE, Hospital, hospital

from covidlit.platform.accounts.rights import Role
from covidlit.platform.registry.models import Scan
from covidlit.platform.viewing.planes import write_label_planes

pytestmark = pytest.mark.django_db

LAST = N_SLICES - 1


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


def cut(scan: Scan, n: int, size: int = SIZE) -> None:
    """Let the labels of a scan have so many slices of this size alone."""
    classes = np.zeros((n, size, size), np.uint8)
    classes[1:, 4:16, 4:16] = 3
    folder = settings.FOLDER.results / scan.labellings.get().folder
    write_label_planes(classes, (classes == 3).astype(np.int32), folder / "labels.zip")


def pictures(client: Client, scan: Scan, query: str = "") -> dict[tuple[str, int], bytes]:
    """Of the page and of the API, which are alike."""
    found = {}
    for axis, index in (("axial", 2), ("axial", LAST), ("coronal", 8), ("sagittal", SIZE - 1)):
        name, keys = ("slice", []) if axis == "axial" else ("plane", [axis])
        answer = client.get(reverse(name, args=[scan.pk, *keys, index]) + query)
        assert answer.status_code == 200
        found[axis, index] = answer.content
        said = f"&axis={axis}".replace("&", "&" if query else "?")
        api = client.get(f"/api/v1/scans/{scan.pk}/slices/{index}.png{query}{said}")
        assert query or api.content == answer.content
    return found


def test_a_plane_without_labels_is_shown_without_them(own: Hospital) -> None:
    scan, client = own.scans[0], own.client(Role.READER)
    without = pictures(client, scan, "?labels=0")
    for size, covered in ((SIZE, {("axial", 2)}), (SIZE // 2, set())):
        cut(scan, N_SLICES - 2, size)
        shown = pictures(client, scan)
        assert {key for key in shown if shown[key] != without[key]} == covered
    labelling = scan.labellings.get()
    answer = client.get(f"/api/v1/labellings/{labelling.pk}/planes/{LAST}")
    assert answer.status_code == 404
    assert answer.json()["fix"] == f"choose 0 to {LAST - 2}."


def test_a_plane_without_labels_is_not_corrected(own: Hospital) -> None:
    scan, client = own.scans[0], annotator(own, "anna")
    cut(scan, N_SLICES - 2)
    drawn = client.get(reverse("draft_slice", kwargs={"pk": scan.pk, "index": LAST}))
    assert drawn.status_code == 200
    new = {**NEW, "slice": LAST + 1}
    assert "the labels do not cover this slice" in refused(client, scan, **new)
