"""Two who correct one version: who is told, and which edits still apply on the newer one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from correcting_drafts import NEW, SQUARE, annotator, became, draft, page
from correcting_world import circle, edit, post
from django.db import connection
from django.urls import reverse
from numpy.typing import NDArray
from platform_world import Hospital, hospital

from covidlit.lesions.edits import EditedLabels
from covidlit.platform.audit.models import Entry
from covidlit.platform.correcting.labels import edited, slice_of
from covidlit.platform.correcting.models import Correction, Edit
from covidlit.platform.correcting.saving import renew
from covidlit.platform.jobs.models import Job
from covidlit.platform.viewing.planes import Planes

pytestmark = pytest.mark.django_db


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


def test_the_second_who_saves_is_told_and_keeps_his_edits(own: Hospital) -> None:
    scan = own.scans[0]
    anna, ben = annotator(own, "anna"), annotator(own, "ben")
    assert edit(anna, scan, kind="reclassify", lesion=1, **{"class": "fibrosis"}) == 302
    assert edit(ben, scan, **NEW) == 302
    assert edit(ben, scan, kind="cut", lesion=1, slice=3, points=SQUARE) == 302
    assert edit(ben, scan, kind="add", lesion=2, slice=4, points=circle(20, 20, 4)) == 302
    assert post(anna, "save_correction", scan) == 302
    assert post(ben, "save_correction", scan) == 409, "it is being measured"
    version = became(Correction.objects.get(by__username="anna"))
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
    became(Correction.objects.get(by__username="anna"))
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
    became(Correction.objects.get(by__username="anna"))
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
    became(Correction.objects.get(by__username="anna"))
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
    became(Correction.objects.get(by__username="anna"))
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
    became(Correction.objects.get(by__username="anna"))
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
