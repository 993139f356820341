"""Drafts of corrections in a test: annotators, what their pages say, edits that they make."""

from __future__ import annotations

import html
import re

import numpy as np
from correcting_world import circle, post
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from platform_world import PASSWORD, Hospital

from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.correcting.labels import edited, slice_of
from covidlit.platform.correcting.models import Correction, Edit
from covidlit.platform.registry.models import Labelling, Scan
from covidlit.platform.viewing.planes import write_label_planes

NEW = {"kind": "new", "class": "consolidation", "slice": 3, "points": circle(20, 20, 5)}
SQUARE = "8,8 14,8 14,14 8,14"


def annotator(h: Hospital, name: str) -> Client:
    """Another annotator of the hospital, with a draft of its first scan."""
    user = make_user(name, PASSWORD)
    give_role(user, Role.ANNOTATOR, h.centre, h.group)
    client = Client()
    client.force_login(user)
    assert post(client, "begin_correction", h.scans[0]) == 302
    return client


def draft(name: str) -> Correction:
    return Correction.objects.get(by__username=name, saved_at=None)


def page(client: Client, scan: Scan, **asked: object) -> str:
    return client.get(reverse("correct", kwargs={"pk": scan.pk}), asked).content.decode()


def refused(client: Client, scan: Scan, **asked: object) -> str:
    """What a refusal says; nothing is stored."""
    before = Edit.objects.count(), Entry.objects.count()
    address = reverse("edit_lesion", kwargs={"pk": scan.pk})
    answer = client.post(address, asked)
    assert answer.status_code == 400
    assert (Edit.objects.count(), Entry.objects.count()) == before
    return told(answer.content.decode())


def told(page: str) -> str:
    """The message at the head of a page."""
    found = re.search(r'<ul class="messages" role="status">(.*?)</ul>', page)
    assert found is not None
    return html.unescape(found[1])


def became(correction: Correction) -> Labelling:
    """The version of a correction, as a measurement writes it."""
    scan = correction.scan
    planes = [slice_of(correction, index) for index in range(scan.n_slices)]
    classes, instances = (np.stack(each) for each in zip(*planes, strict=True))
    version = Labelling.objects.create(
        scan=scan, version=2, labelled_by="masks, corrected", corrected_by=correction.by,
        corrects=correction.corrects, folder=f"{scan.patient.pseudonym}/second",
        factors={"n_lesions": 2, "total_volume_ml": 1.0}, made_at=timezone.now(),
    )  # fmt: skip
    place = settings.FOLDER.results / version.folder
    place.mkdir(parents=True, exist_ok=True)
    write_label_planes(classes, instances, place / "labels.zip")
    names = {2: "consolidation", 3: "ground_glass", 4: "fibrosis"}
    for number, value in edited(correction).classes_of.items():
        version.lesions.create(number=number, kind=names[value], slice_index=2, factors={})
    correction.labelling = version
    correction.save()
    return version
