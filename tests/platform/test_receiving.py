"""Uploads in pieces: nothing lost, nothing doubled, nothing outside its folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from platform_world import Hospital, hospital

from covidlit.platform.accounts.rights import Role
from covidlit.platform.intake import receiving
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import (
    MOST_PIECE,
    UploadRefused,
    WrongOffset,
    add_piece,
    folder_of,
    remove_files,
    safe_place,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


@pytest.fixture
def upload(own: Hospital) -> Upload:
    remove_files(own.upload)
    return own.upload


@examples(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 5000), max_size=6), repeats=st.integers(0, 3))
def test_pieces_make_the_file_however_they_are_cut_and_repeated(
    cuts: list[int], repeats: int, upload: Upload
) -> None:
    remove_files(upload)
    content = np.random.default_rng(0).bytes(5000)
    ends = sorted({0, 5000, *cuts})
    for start, end in pairwise(ends):
        for _ in range(repeats + 1):  # whoever heard no answer sends again
            assert add_piece(upload, "a/b.dcm", start, content[start:end]) >= end
    assert (folder_of(upload) / "files/a/b.dcm").read_bytes() == content


def test_another_file_of_the_same_name_is_refused(upload: Upload) -> None:
    add_piece(upload, "DICOM/IM1", 0, b"AAAA", "4 1")
    for offset, piece, of in ((0, b"BBBB", "4 2"), (0, b"BBBB", ""), (4, b"BB", "6 2"),
                              (0, b"AAAABB", "6 2")):  # fmt: skip
        with pytest.raises(UploadRefused, match="another file of this name"):
            add_piece(upload, "DICOM/IM1", offset, piece, of)
    assert (folder_of(upload) / "files/DICOM/IM1").read_bytes() == b"AAAA"


def test_equal_pieces_at_once_are_one(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    # Threads do not see the database of a test; what is counted there is not asked here.
    monkeypatch.setattr(receiving, "_count", lambda upload, more, new: None)
    monkeypatch.setattr(receiving, "_check_open", lambda upload: None)
    content = bytes(range(256)) * 2000
    with ThreadPoolExecutor(4) as pool:
        sizes = set(pool.map(lambda _: add_piece(upload, "a", 0, content), range(16)))
    assert sizes == {len(content)}
    assert (folder_of(upload) / "files/a").read_bytes() == content


def test_nothing_is_added_to_a_finished_upload(upload: Upload) -> None:
    add_piece(upload, "a", 0, b"1")
    upload.finished_at = timezone.now()
    upload.save()
    for name in ("a", "b"):
        with pytest.raises(UploadRefused, match="finished"):
            add_piece(upload, name, 1 if name == "a" else 0, b"2")
    assert [p.name for p in (folder_of(upload) / "files").iterdir()] == ["a"]


def test_a_gap_is_said_with_the_place_to_go_on_from(upload: Upload) -> None:
    add_piece(upload, "a", 0, b"123")
    with pytest.raises(WrongOffset) as raised:
        add_piece(upload, "a", 5, b"67")
    assert raised.value.size == 3


@pytest.mark.parametrize(
    "name",
    ["", "/", ".", "..", "../a", "a/../../b", "/etc/passwd", "..\\a", "c:\\a", "a/./..", "a\0b",
     "a\nb", "x" * 300, "/".join("abcdefghijklmnop")],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(name: str, upload: Upload) -> None:
    with pytest.raises(UploadRefused, match="plain name"):
        add_piece(upload, name, 0, b"1")
    assert not folder_of(upload).exists()


@given(name=st.text(max_size=30))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    try:
        place = safe_place(Path("/root-of-all"), name)
    except UploadRefused:
        return
    assert place.is_relative_to("/root-of-all")
    assert ".." not in place.parts


def test_a_link_in_the_folder_is_not_followed(upload: Upload, tmp_path: Path) -> None:
    files = folder_of(upload) / "files"
    files.mkdir(parents=True)
    (files / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        add_piece(upload, "a", 0, b"1")
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_cannot_be_a_folder_too(upload: Upload) -> None:
    add_piece(upload, "a", 0, b"1")
    with pytest.raises(UploadRefused, match="a file and a folder"):
        add_piece(upload, "a/b", 0, b"1")


def test_limits_hold_before_anything_is_written(
    upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = settings.FOLDER.settings.uploads.model_copy(
        update={"max_gib": 10 / 2**30, "max_files": 2}
    )
    whole = settings.FOLDER.settings.model_copy(update={"uploads": limits})
    monkeypatch.setattr(settings.FOLDER, "settings", whole)
    add_piece(upload, "a", 0, b"12345678")
    with pytest.raises(UploadRefused, match="larger than"):
        add_piece(upload, "a", 8, b"123")
    add_piece(upload, "b", 0, b"1")
    with pytest.raises(UploadRefused, match="more than 2 files"):
        add_piece(upload, "c", 0, b"")
    assert not (folder_of(upload) / "files/c").exists()
    upload.refresh_from_db()
    assert (upload.n_files, upload.n_bytes) == (2, 9)
    with pytest.raises(UploadRefused, match="a piece of"):
        add_piece(upload, "b", 1, bytes(MOST_PIECE + 1))


def test_only_its_owner_adds_to_an_upload_and_it_ends_once(own: Hospital) -> None:
    client = own.client(Role.PHYSICIAN)
    client.post(reverse("begin_upload"), {"centre": "north", "study_group": "clinic"})
    key = Upload.objects.get(owner=own.people[Role.PHYSICIAN]).pk
    address = reverse("api:send_piece", kwargs={"pk": key})
    assert client.put(f"{address}?name=a&offset=0", b"123").json() == {"size": 3}
    assert client.get(f"{address}?name=a").json() == {"size": 3}
    gap = client.put(f"{address}?name=a&offset=7", b"8")
    assert (gap.status_code, gap.json()["size"]) == (409, 3)
    for wrong in ("name=../a&offset=0", "name=a&offset=x", "name=a&offset=-1", "offset=0"):
        answer = client.put(f"{address}?{wrong}", b"1")
        assert answer.status_code in (400, 422)
        assert answer.json()["fix"]
    other = own.client(Role.ADMINISTRATOR)
    assert other.put(f"{address}?name=a&offset=3", b"4").status_code == 404
    for _ in range(2):
        client.post(reverse("finish_upload", kwargs={"pk": key}))
    upload = Upload.objects.get(pk=key)
    assert upload.job is not None
    assert upload.job.kind == "take in"
    assert client.put(f"{address}?name=a&offset=3", b"4").status_code == 400
    assert Client().put(f"{address}?name=a&offset=3", b"4").status_code == 401


def test_mutated_requests_are_refused_and_leave_nothing_half_done(own: Hospital) -> None:
    client = own.client(Role.PHYSICIAN)
    client.raise_request_exception = False
    rng = np.random.default_rng(1)
    key = Upload.objects.create(
        owner=own.people[Role.PHYSICIAN], centre=own.centre, study_group=own.group
    ).pk
    address = reverse("api:send_piece", kwargs={"pk": key})
    whole = b"name=scan/1.dcm&offset=0"
    for _ in range(500):
        query = bytearray(whole)
        for place in rng.integers(len(query), size=rng.integers(1, 5)):
            query[place] = int(rng.integers(32, 127))
        body = rng.bytes(int(rng.integers(0, 50)))
        text = query.decode("latin-1").replace("#", "%23")
        method = [client.put, client.get, client.post][int(rng.integers(3))]
        kind = str(rng.choice(["application/octet-stream", "multipart/form-data; boundary=x"]))
        extra = {} if method == client.get else {"data": body, "content_type": kind}
        assert method(f"{address}?{text}", **extra).status_code in (200, 400, 405, 409, 422)
    root = folder_of(Upload.objects.get(pk=key)).resolve()
    assert all(path.resolve().is_relative_to(root) for path in root.rglob("*"))


def test_what_is_refused_leaves_no_file_that_nobody_counted(own: Hospital) -> None:
    upload = own.upload
    for number in range(3):
        with pytest.raises(WrongOffset):
            add_piece(upload, f"a/b/{number}", 5, b"x")
    assert not folder_of(upload).exists()
    add_piece(upload, "a/b/0", 0, b"x")
    upload.refresh_from_db()
    assert upload.n_files == 1
    Upload.objects.filter(pk=upload.pk).update(finished_at=timezone.now())
    with pytest.raises(UploadRefused, match="finished"):
        add_piece(upload, "c/d", 0, b"x")
    assert not (folder_of(upload) / "files/c").exists()
