"""Series fetched from an archive: searched by those who may, whole, within limits."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse
from platform_world import Hospital, hospital
from pydicom import dcmread
from pydicom.uid import CTImageStorage, EncapsulatedPDFStorage
from sending_world import WebArchive, quiet, set_archives, web_archive, write_object

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.dicom_in import views
from covidlit.platform.dicom_in.fetch import fetch
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import folder_of, remove_files
from covidlit.platform.pacs import patience
from covidlit.platform.pacs.errors import Unreachable
from covidlit.platform.pacs.settings import DicomwebArchive

pytestmark = pytest.mark.django_db


@pytest.fixture
def own() -> Hospital:
    own = hospital("north")
    own.client(Role.PHYSICIAN)
    return own


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebArchive]:
    """A patient's CT of three images and a PDF, and another patient's CT."""
    with web_archive() as own:
        series = ""
        for number in range(5):
            kind = EncapsulatedPDFStorage if number == 3 else CTImageStorage
            name = "south" if number == 4 else "north"
            path = write_object(tmp_path / f"{number}.dcm", kind, name, f"1.2.{name == 'north':d}")
            data = dcmread(path)
            if 0 < number < 3:
                data.SeriesInstanceUID = series
                data.save_as(path)
            series = series or str(data.SeriesInstanceUID)
            own.stored[str(data.SOPInstanceUID)] = path.read_bytes()
        yield own


def archive(server: WebArchive, **other: Any) -> DicomwebArchive:
    given = {"name": "pacs", "kind": "dicomweb", "url": server.address, "pause_seconds": 0.01,
             "fetch": True, "tries": 2}  # fmt: skip
    return DicomwebArchive(**{**given, **other})


def ask(own: Hospital, name: str, role: Role = Role.PHYSICIAN, **data: Any) -> Any:
    given = {"archive": "pacs", "centre": "north", "study_group": "clinic"}
    return own.client(role).post(reverse(name), {**given, **data})


def chosen(own: Hospital, server: WebArchive) -> list[str]:
    page = ask(own, "search_archive", patient_id="secret-north").content.decode()
    return [part.split('"')[0] for part in page.split('name="series" value="')[1:]]


def begun(own: Hospital, server: WebArchive) -> Upload:
    answer = ask(own, "begin_fetch", series=chosen(own, server))
    return Upload.objects.get(pk=int(answer["Location"].strip("/").split("/")[-1]))


def fetched(upload: Upload) -> set[bytes]:
    return {path.read_bytes() for path in (folder_of(upload) / "files").rglob("*.dcm")}


def of_ct(server: WebArchive) -> set[bytes]:
    files = list(server.stored.values())
    return set(files[:3])


def test_a_patient_is_found_by_the_whole_number_and_ct_first(
    own: Hospital, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_archives(monkeypatch, archive(server))
    assert len(chosen(own, server)) == 1
    every = ask(own, "search_archive", patient_id="secret-north", every_modality="1")
    assert every.content.decode().count('name="series"') == 2
    # The server finds it whatever its capitals, and it may be another patient's.
    other = ask(own, "search_archive", patient_id="SECRET-north").content.decode()
    assert "none of this patient" in other
    asked = len(server.asked)
    for wrong in ({"patient_id": "*"}, {"patient_id": "secret?north"}, {"patient_id": ""},
                  {"patient_id": "x", "first": "yesterday"}, {"patient_id": "x" * 65}):  # fmt: skip
        assert 'class="error"' in ask(own, "search_archive", **wrong).content.decode()
    assert len(server.asked) == asked
    ask(own, "search_archive", patient_id="x", first="2020-03-01", last="2020-03-05")
    assert "StudyDate=20200301-20200305" in server.asked[-1]
    assert "secret" not in json.dumps(list(Entry.objects.values("subject", "details"))).lower()


def test_series_come_whole_and_are_taken_in(
    own: Hospital, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_archives(monkeypatch, archive(server))
    upload = begun(own, server)
    assert upload.job is not None
    fetch(upload.job, quiet)
    assert fetched(upload) == of_ct(server)
    job = upload.job
    upload.refresh_from_db()
    assert upload.job is not None
    assert (upload.job.kind, upload.n_files) == ("take in", 3)
    fetch(job, quiet)  # its worker was lost just then
    upload.refresh_from_db()
    assert upload.job.kind == "take in"
    assert Entry.objects.filter(action="fetched").count() == 1
    remove_files(upload)


def test_a_fetch_goes_on_where_it_broke_off(
    own: Hospital, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_archives(monkeypatch, archive(server))
    upload = begun(own, server)
    assert upload.job is not None
    given: list[Any] = [None, None, None, (503, {}, b""), (503, {}, b"")]
    server.answer = lambda path: given.pop(0) if given else None
    monkeypatch.setattr(patience, "sleep", lambda seconds: None)
    with pytest.raises(Unreachable, match="2 times in a row"):
        fetch(upload.job, quiet)
    had = len(fetched(upload))
    assert had > 0
    assert not list((folder_of(upload) / "files").rglob("*.part"))
    upload.job.state = "failed"
    upload.job.save()
    own.client(Role.PHYSICIAN).post(reverse("finish_upload", kwargs={"pk": upload.pk}))
    upload.refresh_from_db()
    assert upload.job.kind == "fetch"
    asked = len(server.asked)
    fetch(upload.job, quiet)
    assert fetched(upload) == of_ct(server)
    assert sum("/instances/" in path for path in server.asked[asked:]) == 3 - had
    remove_files(upload)


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (500, {}, b"", "status 500"),
        (302, {"Location": "http://127.0.0.1:9/"}, b"", "another address"),
        (200, {}, b"<html>", "something else"),
        (200, {"Content-Type": "multipart/related; boundary=x"}, b"", "something else"),
        (200, {"Content-Type": "multipart/related; boundary=x"}, b"--x\r\n\r\nDI", "something"),
        (200, {"Content-Type": "multipart/related; boundary=x"},
         b"--x\r\n\r\n" + bytes(128) + b"DICM\2\0\0\0UL\4\0\xff\xff\xff\xff\r\n--x--", "something"),
        (200, {}, bytes(2_000_000), "longer than"),
    ],
)  # fmt: skip
def test_a_wrong_object_is_refused_and_leaves_nothing(
    status: int, headers: dict[str, str], body: bytes, said: str, own: Hospital,
    server: WebArchive, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    limits = settings.FOLDER.settings.uploads.model_copy(update={"max_gib": 1_000_000 / 2**30})
    set_archives(monkeypatch, archive(server), uploads=limits)
    upload = begun(own, server)
    assert upload.job is not None
    server.answer = lambda path: (status, headers, body) if "/instances/" in path else None
    with pytest.raises(CovidlitError, match=said):
        fetch(upload.job, quiet)
    assert [p for p in (folder_of(upload) / "files").rglob("*") if p.is_file()] == []
    remove_files(upload)


def test_limits_of_an_upload_hold(
    own: Hospital, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, said in ({"max_files": 2}, "more than 2 images"), ({"max_gib": 1e-6}, "longer|more"):
        limits = settings.FOLDER.settings.uploads.model_copy(update=limit)
        set_archives(monkeypatch, archive(server), uploads=limits)
        upload = begun(own, server)
        assert upload.job is not None
        with pytest.raises(CovidlitError, match=said):
            fetch(upload.job, quiet)
        remove_files(upload)


@pytest.mark.parametrize(
    "body", [b"no json", b"{}", b"[1]", b'[{"00100020": 5}]', b"[[]]", b"[" * 9999, b"null", b""]
)
def test_a_search_that_is_answered_oddly_has_a_message(
    body: bytes, own: Hospital, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_archives(monkeypatch, archive(server))
    server.answer = lambda path: (200, {}, body)
    answer = ask(own, "search_archive", patient_id="secret-north")
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "something else than a list" in text or "none of this patient" in text


def test_a_search_takes_no_longer_than_it_may(
    own: Hospital, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_archives(monkeypatch, archive(server))
    monkeypatch.setattr(views, "LONGEST_SEARCH", 1.0)
    study = {"00100020": {"vr": "LO", "Value": ["secret-north"]}}
    found = [{**study, "0020000D": {"vr": "UI", "Value": [f"1.2.{n}"]}} for n in range(20)]

    def slow(path: str) -> Any:  # each answer is there in time, and all of them are not
        time.sleep(0.3)
        return 200, {}, json.dumps(found).encode()

    server.answer = slow
    begun = time.monotonic()
    answer = ask(own, "search_archive", patient_id="secret-north")
    assert time.monotonic() - begun < 4.0  # and not 6
    assert "did not answer in time" in answer.content.decode()


def test_only_those_who_may_fetch_and_only_from_archives_for_it(
    own: Hospital, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = archive(server, name="foreign", centres=("south",))
    closed = archive(server, name="closed", fetch=False)
    set_archives(monkeypatch, archive(server), foreign, closed)
    hospital("south")
    for name in ("search_archive", "begin_fetch"):
        for wrong in ({"archive": "foreign"}, {"archive": "closed"}, {"archive": server.address},
                      {"centre": "south"}, {"study_group": "none"}):  # fmt: skip
            assert ask(own, name, **wrong, patient_id="1").status_code == 403
        assert ask(own, name, Role.ADMINISTRATOR, patient_id="1").status_code == 403
    assert server.asked == []
    for series in ([], ["1.2"], ["1.2/../3"], ["1.2/3/4"], ["1/2?x=1"], ["1" * 65 + "/1"]):
        assert ask(own, "begin_fetch", series=series)["Location"] == reverse("fetch")
    set_archives(monkeypatch, archive(server))
    upload = begun(own, server)
    assert upload.job is not None
    asked = len(server.asked)
    own.people[Role.PHYSICIAN].memberships.all().delete()
    with pytest.raises(CovidlitError, match="may not fetch scans any more"):
        fetch(upload.job, quiet)
    assert len(server.asked) == asked
