"""Drafts of corrections: edits, undo, what is refused, versions, and who may."""

from __future__ import annotations

import io

import numpy as np
import pytest
from correcting_drafts import NEW, SQUARE, annotator, became, draft, page, refused, told
from correcting_world import circle, edit, post
from django.conf import settings
from django.urls import reverse
from PIL import Image
from platform_world import SIZE, Hospital, hospital, volume

from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.audit.trail import first_broken
from covidlit.platform.correcting.labels import slice_of
from covidlit.platform.correcting.models import Correction
from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.viewing.planes import write_planes
from covidlit.scans.scan import Scan as Volume

pytestmark = pytest.mark.django_db


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


def test_edits_are_rows_that_show_over_the_slices_and_are_taken_back(own: Hospital) -> None:
    scan, client = own.scans[0], annotator(own, "anna")
    assert edit(client, scan, **NEW) == 302
    assert edit(client, scan, kind="reclassify", lesion=1, **{"class": "fibrosis"}) == 302
    first, _ = draft("anna").edits.order_by("number")
    assert (first.kind, first.lesion, first.slice_index, first.class_value) == ("new", 2, 2, 2)
    inside = (np.indices((SIZE, SIZE)) + 0.5 - 20) ** 2
    assert first.n_pixels == np.count_nonzero(inside.sum(axis=0) < 25)
    classes, numbers = slice_of(draft("anna"), 2)
    assert set(np.unique(classes[numbers == 1])) == {4}
    assert set(np.unique(classes[numbers == 2])) == {2}
    seen = client.get(reverse("draft_slice", kwargs={"pk": scan.pk, "index": 2}))
    drawn = np.array(Image.open(io.BytesIO(seen.content)).convert("RGB"))
    orange = (drawn == (213, 94, 0)).all(axis=2)
    assert orange.any()
    assert not orange[numbers != 2].any()
    said = page(client, scan)
    assert f"{first.n_pixels} pixels more, 0 less." in told(said)
    assert "new lesion 2 of consolidation, slice 3" in said
    assert "lesion 1 is fibrosis" in said
    for left in (1, 0, 0):
        assert post(client, "undo_edit", scan) == 302
        assert draft("anna").edits.count() == left
    assert np.array_equal(slice_of(draft("anna"), 2)[1] > 0, numbers == 1)
    assert post(client, "drop_correction", scan) == 302
    assert not Correction.objects.exists()
    own_entries = Entry.objects.filter(username="anna", subject=f"scan {scan.scan_id}")
    assert list(own_entries.order_by("number").values_list("action", flat=True)) == [
        "began to correct", "edited lesions", "edited lesions", "looked at", "took back an edit",
        "took back an edit", "dropped a draft",
    ]  # fmt: skip
    assert first_broken() is None


def test_every_edit_changes_its_slice_as_it_says(own: Hospital) -> None:
    scan, client = own.scans[0], annotator(own, "anna")
    square = np.zeros((SIZE, SIZE), bool)
    square[8:14, 8:14] = True
    lesion = np.zeros((SIZE, SIZE), bool)
    lesion[10:16, 10:16] = True
    for kind, points, expected in (
        ("add", SQUARE, lesion | square), ("cut", SQUARE, lesion & ~square),
        ("replace", SQUARE, square), ("clear", "", lesion & False), ("remove", "", lesion & False),
    ):  # fmt: skip
        asked = {"kind": kind, "lesion": 1, "points": points}
        if kind != "remove":
            asked["slice"] = 3
        assert edit(client, scan, **asked) == 302
        own_draft = draft("anna")
        assert np.array_equal(slice_of(own_draft, 2)[1] == 1, expected), kind
        other = slice_of(own_draft, 3)[1] == 1
        assert np.array_equal(other, lesion & (kind != "remove")), kind
        post(client, "undo_edit", scan)


def test_pixels_that_are_not_square_are_drawn_and_edited_where_they_lie(own: Hospital) -> None:
    """Rows 2 mm apart, columns 1 mm: the picture has 64 rows, the slice 32."""
    scan = own.scans[0]
    made = volume()
    affine = made.affine.copy()
    affine[:, 1] *= 2
    write_planes(Volume(made.hu, affine), settings.FOLDER.scans / scan.folder / "planes.zip")
    client = annotator(own, "anna")
    assert 'viewBox="0 0 32 64"' in page(client, scan)
    seen = client.get(reverse("draft_slice", kwargs={"pk": scan.pk, "index": 2}))
    assert Image.open(io.BytesIO(seen.content)).size == (32, 64)
    assert edit(client, scan, **{**NEW, "points": circle(16, 40, 10)}) == 302
    numbers = slice_of(draft("anna"), 2)[1]
    rows, columns = np.nonzero(numbers == 2)
    # In mm a disc again, in the middle of where it was drawn.
    assert np.count_nonzero(numbers == 2) * 2 == pytest.approx(np.pi * 100, rel=0.03)
    assert ((rows + 0.5) * 2).mean() == pytest.approx(40, abs=0.5)
    assert (columns + 0.5).mean() == pytest.approx(16, abs=0.5)
    assert "outside" in refused(client, scan, **{**NEW, "points": "1,1 9,1 9,65"})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"points": ""}, "needs three"),
        ({"points": "1,1 5,5"}, "needs three"),
        ({"points": "nan,1 5,5 9,1"}, "no number"),
        ({"points": "1,1 1e999,5 9,1"}, "no number"),
        ({"points": "1,1 9,9 9,1 1,9"}, "crosses"),
        ({"points": "1,1 99,9 9,1"}, "outside"),
        ({"points": "1,1 9,9 -9,1"}, "outside"),
        ({"points": "1,1,1 9,9 9,1"}, "no point"),
        ({"points": "1 1 9 9 9 1"}, "no point"),
        ({"points": "<script>alert(1)</script>"}, "no point"),
        ({"points": "5.1,5.1 5.3,5.1 5.2,5.3"}, "no pixel"),
        ({"points": " ".join(["1,1"] * 5_000)}, "at most 1000"),
        ({"points": " ".join(["1,1"] * 10**6)}, "characters long"),
        ({"slice": "7"}, "from 1 to 6"),
        ({"slice": "0"}, "from 1 to 6"),
        ({"slice": "two"}, "from 1 to 6"),
        ({"class": "lung"}, "no class of lesions"),
        ({"class": "tumour"}, "choose one"),
        ({"kind": "paint"}, "choose what to do"),
        ({"kind": ""}, "choose what to do"),
        ({"kind": "add", "lesion": "9"}, "not there"),
        ({"kind": "add", "lesion": "-1"}, "give a number"),
        ({"kind": "add", "lesion": "1", "points": "11,11 13,11 13,13"}, "change nothing"),
        ({"kind": "cut", "lesion": "1", "points": "20,20 25,20 25,25"}, "change nothing"),
        ({"kind": "clear", "lesion": "1", "slice": "1"}, "change nothing"),
        ({"kind": "clear", "lesion": "1", "leaves": "fibrosis"}, "choose one"),
        ({"kind": "reclassify", "lesion": "1", "class": "ground_glass"}, "already"),
        ({"kind": "remove", "lesion": "1" * 40}, "give a number"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_stored(
    wrong: dict[str, str], said: str, own: Hospital
) -> None:
    client = annotator(own, "anna")
    assert said in refused(client, own.scans[0], **{**NEW, **wrong})


def test_a_refusal_in_the_page_keeps_what_was_drawn(own: Hospital) -> None:
    client = annotator(own, "anna")
    address = reverse("edit_lesion", kwargs={"pk": own.scans[0].pk})
    answer = client.post(address, {**NEW, "points": '1,1 9,9 9,1 1,9"><b>'})
    assert answer.status_code == 400
    said = answer.content.decode()
    assert "no point" in said
    assert "1,1 9,9 9,1 1,9&quot;&gt;&lt;b&gt;" in said


def test_a_draft_is_its_authors_alone(own: Hospital) -> None:
    scan, anna = own.scans[0], annotator(own, "anna")
    assert edit(anna, scan, **NEW) == 302
    ben = annotator(own, "ben")
    assert "new lesion 2" not in page(ben, scan)
    assert post(ben, "undo_edit", scan) == 302
    assert post(ben, "drop_correction", scan) == 302
    assert draft("anna").edits.count() == 1
    assert edit(ben, scan, **NEW) == 400  # it has no draft any more
    assert ben.get(reverse("draft_slice", kwargs={"pk": scan.pk, "index": 2})).status_code == 404


def test_who_may_not_correct_does_not(own: Hospital) -> None:
    scan, foreign = own.scans[0], hospital("south")
    reader = own.client(Role.READER)
    assert "Correct the lesions" not in reader.get(f"/scans/{scan.pk}/").content.decode()
    for client, status in ((reader, 403), (foreign.client(Role.ANNOTATOR), 404)):
        assert edit(client, scan, **NEW) == status
        for name in ("begin_correction", "save_correction", "undo_edit", "drop_correction"):
            assert post(client, name, scan) == status
    assert not Correction.objects.exists()


def test_a_correction_that_cannot_be_measured_is_measured_again_or_taken_back(
    own: Hospital,
) -> None:
    scan, anna = own.scans[0], annotator(own, "anna")
    ben = annotator(own, "ben")
    assert edit(anna, scan, **NEW) == 302
    assert post(anna, "save_correction", scan) == 302
    (waiting,) = Correction.objects.filter(saved_at__isnull=False)
    assert post(ben, "reopen_correction", scan) == 302
    waiting.refresh_from_db()
    assert waiting.saved_at is not None, "it is not over yet"
    first = waiting.job
    for name in ("measure_correction", "reopen_correction"):
        Job.objects.filter(pk=waiting.job_id).update(state=JobState.FAILED, message="disk full")
        assert "disk full" in anna.get(f"/scans/{scan.pk}/").content.decode()
        assert post(ben, name, scan) == 302
        waiting.refresh_from_db()
        if name == "measure_correction":
            assert waiting.job != first
            assert waiting.job.owner.username == "ben"
    assert waiting.saved_at is None
    assert draft("anna").edits.count() == 1


def test_an_earlier_version_is_looked_at(own: Hospital) -> None:
    scan, anna = own.scans[0], annotator(own, "anna")
    assert edit(anna, scan, **NEW) == 302
    assert post(anna, "save_correction", scan) == 302
    became(Correction.objects.get(by__username="anna"))
    newest = anna.get(f"/scans/{scan.pk}/").content.decode()
    assert "2, shown here" in newest
    assert "anna (version 1)" in newest
    earlier = anna.get(f"/scans/{scan.pk}/?version=1").content.decode()
    assert "This is version 1." in earlier
    slices = [
        anna.get(f"/scans/{scan.pk}/slices/2.png?version={version}").content
        for version in (1, 2, "")
    ]
    assert slices[0] != slices[1] == slices[2]
    for odd in ("3", "0", "-1", "x", "1" * 30, "٣"):
        assert anna.get(f"/scans/{scan.pk}/?version={odd}").status_code == 404
        assert anna.get(f"/scans/{scan.pk}/slices/2.png?version={odd}").status_code == 404
