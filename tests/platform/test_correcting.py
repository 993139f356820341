"""Drafts of corrections: edits, undo, conflicts, what is refused, and who may."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from correcting_world import circle, edit, post
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from numpy.typing import NDArray
from PIL import Image
from platform_world import PASSWORD, SIZE, Hospital, hospital, volume

from covidlit.lesions.edits import EditedLabels
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.audit.trail import first_broken
from covidlit.platform.correcting.labels import edited, slice_of
from covidlit.platform.correcting.models import Correction, Edit
from covidlit.platform.correcting.saving import renew
from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.registry.models import Labelling, Scan
from covidlit.platform.viewing.planes import Planes, write_label_planes, write_planes
from covidlit.scans.scan import Scan as Volume

pytestmark = pytest.mark.django_db

NEW = {"kind": "new", "class": "consolidation", "slice": 3, "points": circle(20, 20, 5)}
SQUARE = "8,8 14,8 14,14 8,14"


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


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


def test_the_second_who_saves_is_told_and_keeps_his_edits(own: Hospital) -> None:
    scan = own.scans[0]
    anna, ben = annotator(own, "anna"), annotator(own, "ben")
    assert edit(anna, scan, kind="reclassify", lesion=1, **{"class": "fibrosis"}) == 302
    assert edit(ben, scan, **NEW) == 302
    assert edit(ben, scan, kind="cut", lesion=1, slice=3, points=SQUARE) == 302
    assert edit(ben, scan, kind="add", lesion=2, slice=4, points=circle(20, 20, 4)) == 302
    assert post(anna, "save_correction", scan) == 302
    assert post(ben, "save_correction", scan) == 409, "it is being measured"
    version = _became(Correction.objects.get(by__username="anna"))
    answer = ben.post(reverse("save_correction", kwargs={"pk": scan.pk}))
    assert answer.status_code == 409
    assert "kept as a draft" in answer.content.decode()
    assert draft("ben").edits.count() == 3
    assert Job.objects.filter(kind="correct").count() == 1

    assert post(ben, "renew_correction", scan) == 302
    own_draft = draft("ben")
    assert own_draft.corrects == version
    left_out = [row.kind for row in own_draft.edits.exclude(left_out="")]
    assert left_out == ["cut"], "lesion 1 is of another class now"
    numbers = slice_of(own_draft, 2)[1]
    assert np.count_nonzero(numbers == 1) == 36
    said = page(ben, scan)
    assert "<s>cut off lesion 1, slice 3</s>" in said
    assert post(ben, "save_correction", scan) == 302
    assert Correction.objects.filter(saved_at__isnull=False).count() == 2


def test_of_two_at_the_same_moment_the_database_lets_one_through(
    own: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = own.scans[0]
    people = annotator(own, "anna"), annotator(own, "ben")
    for client in people:
        assert edit(client, scan, **NEW) == 302
    # Both have looked, and found nothing newer, before either has saved.
    monkeypatch.setattr("covidlit.platform.correcting.saving._check_newest", lambda _: None)
    assert [post(client, "save_correction", scan) for client in people] == [302, 409]
    assert draft("ben").edits.count() == 1
    assert Job.objects.filter(kind="correct").count() == 1


def test_a_new_lesion_gets_another_number_where_his_was_given_meanwhile(own: Hospital) -> None:
    scan = own.scans[0]
    anna, ben = annotator(own, "anna"), annotator(own, "ben")
    assert edit(anna, scan, **{**NEW, "points": circle(7, 22, 3)}) == 302
    assert edit(ben, scan, **NEW) == 302
    assert edit(ben, scan, kind="add", lesion=2, slice=4, points=circle(20, 20, 4)) == 302
    assert post(anna, "save_correction", scan) == 302
    _became(Correction.objects.get(by__username="anna"))
    assert post(ben, "renew_correction", scan) == 302
    own_draft = draft("ben")
    assert not own_draft.edits.exclude(left_out="").exists()
    (third,) = set(own_draft.edits.values_list("lesion", flat=True))
    assert third not in (1, 2)
    numbers = slice_of(own_draft, 2)[1]
    assert set(np.unique(numbers)) == {0, 1, 2, third}, "both are there"


def test_what_both_have_drawn_over_is_left_out(own: Hospital) -> None:
    scan = own.scans[0]
    anna, ben = annotator(own, "anna"), annotator(own, "ben")
    assert edit(anna, scan, **{**NEW, "points": circle(21, 21, 4)}) == 302
    assert edit(ben, scan, **NEW) == 302
    assert edit(ben, scan, kind="add", lesion=2, slice=4, points=circle(20, 20, 4)) == 302
    assert post(anna, "save_correction", scan) == 302
    _became(Correction.objects.get(by__username="anna"))
    assert post(ben, "renew_correction", scan) == 302
    assert all(draft("ben").edits.values_list("left_out", flat=True))
    assert edited(draft("ben")).classes_of == {1: 3, 2: 2}, "Anna's"
    assert post(ben, "save_correction", scan) == 400, "nothing is left of it"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The slices that are read, none of them while the database is held for it."""
    found: list[int] = []
    plane = Planes.plane
    held = len(connection.savepoint_ids)  # by the test itself

    def noted(planes: Planes, index: int) -> NDArray[Any]:
        assert len(connection.savepoint_ids) == held
        found.append(index)
        return plane(planes, index)

    monkeypatch.setattr(Planes, "plane", noted)
    yield found
    assert found


def test_edits_of_all_slices_read_each_slice_once(own: Hospital, read: list[int]) -> None:
    scan = own.scans[0]
    anna, ben = annotator(own, "anna"), annotator(own, "ben")
    assert edit(anna, scan, **NEW) == 302
    # A class to and fro, then gone: three edits of all slices.
    for name in ("fibrosis", "ground_glass"):
        assert edit(ben, scan, kind="reclassify", lesion=1, **{"class": name}) == 302
    assert edit(ben, scan, kind="remove", lesion=1) == 302
    assert post(anna, "save_correction", scan) == 302
    _became(Correction.objects.get(by__username="anna"))
    read.clear()
    renew(draft("ben"))
    assert sorted(read) == sorted([*range(scan.n_slices)] * 2)  # of both versions
    read.clear()
    assert not draft("ben").edits.exclude(left_out="").exists()
    assert edit(ben, scan, **NEW) == 302
    assert edited(draft("ben")).removed == {1}


def test_two_new_lesions_get_two_other_numbers(own: Hospital) -> None:
    scan = own.scans[0]
    anna, ben = annotator(own, "anna"), annotator(own, "ben")
    small = [{**NEW, "points": circle(x, 22, 2)} for x in (7, 12, 17, 22)]
    for client, asked in zip((anna, anna, ben, ben), small, strict=True):
        assert edit(client, scan, **asked) == 302
    assert post(anna, "save_correction", scan) == 302
    _became(Correction.objects.get(by__username="anna"))
    for _ in range(2):  # done again it changes nothing
        assert post(ben, "renew_correction", scan) == 302
        assert edited(draft("ben")).classes_of == {1: 3, 2: 2, 3: 2, 4: 2, 5: 2}
    assert Entry.objects.filter(username="ben", action="took a draft to").count() == 1


def test_what_was_left_out_stays_so_when_the_draft_is_taken_there_again(own: Hospital) -> None:
    scan = own.scans[0]
    anna, ben = annotator(own, "anna"), annotator(own, "ben")
    assert edit(anna, scan, **{**NEW, "points": circle(21, 21, 4)}) == 302
    assert edit(ben, scan, **NEW) == 302
    assert post(anna, "save_correction", scan) == 302
    _became(Correction.objects.get(by__username="anna"))
    for _ in range(2):
        (left_out,) = renew(draft("ben"))
        assert left_out.left_out
        assert edited(draft("ben")).classes_of == {1: 3, 2: 2}, "Anna's"


@pytest.mark.parametrize("other", ["edits", "undoes", "drops"])
def test_another_window_is_faster(
    other: str, own: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an edit is worked out, the same person does something elsewhere."""
    scan, anna = own.scans[0], annotator(own, "anna")
    assert edit(anna, scan, **NEW) == 302
    slice_at = EditedLabels.slice_at

    def while_it_looks(labels: EditedLabels, *at: Any) -> Any:
        monkeypatch.undo()
        if other == "edits":
            assert edit(anna, scan, kind="add", lesion=2, slice=4, points=SQUARE) == 302
        else:
            name = {"undoes": "undo_edit", "drops": "drop_correction"}[other]
            assert post(anna, name, scan) == 302
        return slice_at(labels, *at)

    monkeypatch.setattr(EditedLabels, "slice_at", while_it_looks)
    status = edit(anna, scan, kind="cut", lesion=2, slice=3, points=circle(20, 20, 2))
    numbers = list(Edit.objects.values_list("number", "kind"))
    if other == "edits":
        assert (status, numbers) == (302, [(1, "new"), (2, "add"), (3, "cut")])
    else:
        assert (status, numbers) == (400, []), "there is no such lesion, or no draft, any more"


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
    _became(Correction.objects.get(by__username="anna"))
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


def _became(correction: Correction) -> Labelling:
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
