"""Results sent to archives: what was confirmed arrives, each object once, or with a reason."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse
from platform_world import Hospital, hospital
from pydicom import dcmread
from sending_world import WebArchive, confirmed, quiet, set_archives, web_archive, with_objects

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.pacs import patience
from covidlit.platform.pacs.errors import Refused, Unreachable
from covidlit.platform.pacs.settings import DicomwebArchive
from covidlit.platform.registry.models import Labelling
from covidlit.platform.sending.confirm import try_again
from covidlit.platform.sending.dicom_objects import keep_objects, objects_of
from covidlit.platform.sending.models import Sending
from covidlit.platform.sending.send import send

pytestmark = pytest.mark.django_db


@pytest.fixture
def own() -> Hospital:
    own = hospital("north")
    own.client(Role.PHYSICIAN)
    return own


@pytest.fixture
def labelling(own: Hospital) -> Labelling:
    return with_objects(own.scans[0])


@pytest.fixture
def server() -> Iterator[WebArchive]:
    with web_archive() as own:
        yield own


def archive(server: WebArchive, **other: Any) -> DicomwebArchive:
    given = {"name": "pacs", "kind": "dicomweb", "url": server.address, "pause_seconds": 0.01}
    return DicomwebArchive(**{**given, **other})


def states(sending: Sending) -> dict[str, str]:
    return dict(sending.parts.values_list("file", "state"))


def test_what_was_confirmed_arrives_byte_by_byte(
    own: Hospital, labelling: Labelling, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = archive(server, user="who", password_variable="SEND_TEST_PASSWORD")
    monkeypatch.setenv("SEND_TEST_PASSWORD", "päss")
    set_archives(monkeypatch, there)
    sending, job = confirmed(own, there, labelling)
    send(job, quiet)
    assert set(states(sending).values()) == {"sent"}
    for each in objects_of(labelling):
        assert server.stored[each.sop_instance_uid] == each.path.read_bytes()
    assert {h["Authorization"] for h in server.headers} == {"Basic d2hvOnDDpHNz"}
    sent = Entry.objects.filter(action="sent")
    assert sorted(entry.details["object"] for entry in sent) == sorted(states(sending))
    assert "Secret" not in json.dumps(list(Entry.objects.values("subject", "details")))
    n = len(server.asked)
    send(job, quiet)  # a worker that was lost after all of it
    assert (len(server.asked), sent.count()) == (n, 3)


def test_a_page_shows_what_is_sent_and_only_that_is(
    own: Hospital, labelling: Labelling, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = archive(server, name="elsewhere", centres=("south",))
    set_archives(monkeypatch, archive(server), foreign)
    client = own.client(Role.PHYSICIAN)
    page = client.get(reverse("send", kwargs={"pk": own.scans[0].pk})).content.decode()
    objects = objects_of(labelling)
    assert all(each.name in page and each.sop_instance_uid in page for each in objects)
    assert "Secret^north" in page
    assert server.address in page
    assert "elsewhere" not in page
    address = reverse("confirm_sending", kwargs={"pk": own.scans[0].pk})
    one = objects[1].sop_instance_uid
    data = {"labelling": labelling.pk, "archive": "pacs", "object": [one]}
    for name in ("elsewhere", "http://169.254.169.254/", ""):
        assert client.post(address, {**data, "archive": name}).status_code == 403
    for wrong in ({"labelling": labelling.pk - 1}, {"object": []}, {"object": [one, "1.2.3"]}):
        answer = client.post(address, {**data, **wrong})
        assert answer["Location"].startswith(reverse("send", kwargs={"pk": own.scans[0].pk}))
    assert not Sending.objects.exists()
    shown = client.post(address, data)
    sending = Sending.objects.get()
    assert shown["Location"] == reverse("sending", kwargs={"pk": sending.pk})
    assert sending.job is not None
    send(sending.job, quiet)
    assert list(server.stored) == [one]
    assert "sent" in client.get(shown["Location"]).content.decode()


def test_what_is_on_its_way_is_not_sent_a_second_time(
    own: Hospital, labelling: Labelling, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = archive(server), archive(server, name="other")
    set_archives(monkeypatch, first, other)
    sending, job = confirmed(own, first, labelling)
    assert confirmed(own, first, labelling) == (sending, job)
    assert Entry.objects.filter(action="confirmed a sending").count() == 1
    address = reverse("confirm_sending", kwargs={"pk": own.scans[0].pk})
    one = objects_of(labelling)[0].sop_instance_uid
    own.client(Role.PHYSICIAN).post(
        address, {"labelling": labelling.pk, "archive": "pacs", "object": [one]}
    )
    confirmed(own, other, labelling)
    assert Sending.objects.count() == 3  # other objects, and another archive
    send(job, quiet)
    assert confirmed(own, first, labelling)[0] != sending  # it was sent: now it is sent anew


def _failed(uid: str = "", reason: int = 0xA700) -> bytes:
    item: dict[str, Any] = {"00081197": {"vr": "US", "Value": [reason]}}
    if uid:
        item["00081155"] = {"vr": "UI", "Value": [uid]}
    return json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode()


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (500, {}, b"<html>Secret^north", "status 500"),
        (400, {}, b"", "status 400"),
        (401, {}, b"", "does not let the platform in"),
        (302, {"Location": "http://127.0.0.1:9/"}, b"", "another address"),
        (307, {"Location": "/dicom-web/elsewhere"}, b"", "another address"),
        (200, {}, b"thanks", "did not say whether"),
        (200, {}, b"", "did not say whether"),
        (200, {}, b"[1, 2]", "did not say whether"),
        (200, {}, b'{"00081199": {"Value": [{"00081155": 3}]}}', "did not say whether"),
        (200, {}, b"[" * 100_000, "did not say whether"),
        (200, {}, b" " * 5_000_000, "longer than"),
        (409, {}, _failed(), "no room"),
        (202, {}, _failed(reason=0x0122), "does not take objects of this kind"),
    ],
)
def test_an_answer_that_is_no_yes_fails_with_its_reason(
    status: int, headers: dict[str, str], body: bytes, said: str, own: Hospital,
    labelling: Labelling, server: WebArchive, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("covidlit.platform.pacs.web.MOST_JSON", 1_000_000)
    server.answer = lambda path: (status, headers, body)
    set_archives(monkeypatch, archive(server))
    sending, job = confirmed(own, archive(server), labelling)
    with pytest.raises(CovidlitError, match="0 of 3 objects have arrived, 3 have not"):
        send(job, quiet)
    assert set(states(sending).values()) == {"failed"}
    for part in sending.parts.all():
        assert said in part.said
        assert "Secret" not in part.said
    assert len(server.asked) == 3  # once each, and nobody else
    server.answer = None
    job.state = "failed"
    job.save()
    assert try_again(own.people[Role.PHYSICIAN], sending)
    assert not try_again(own.people[Role.PHYSICIAN], sending)  # it waits
    sending.refresh_from_db()
    assert sending.job is not None
    send(sending.job, quiet)
    assert set(states(sending).values()) == {"sent"}


def test_one_refused_object_does_not_keep_the_others_back(
    own: Hospital, labelling: Labelling, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = objects_of(labelling)[0]
    given = iter([(409, {}, _failed(bad.sop_instance_uid, 0x0117))])
    server.answer = lambda path: next(given, None)
    set_archives(monkeypatch, archive(server))
    sending, job = confirmed(own, archive(server), labelling)
    told: list[str] = []
    with pytest.raises(CovidlitError, match="2 of 3 objects have arrived, 1 have not") as caught:
        send(job, lambda progress, share: told.append(progress))
    assert "send again what was not sent" in str(caught.value)
    assert told == ["object 1 of 3", "object 2 of 3", "object 3 of 3", ""]
    assert states(sending) == {
        "classes.dcm": "failed", "factors.dcm": "sent", "report.dcm": "sent"
    }  # fmt: skip
    assert "0x0117" in sending.parts.get(file="classes.dcm").said


def test_an_archive_that_comes_back_gets_the_rest(
    own: Hospital, labelling: Labelling, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = iter([None, (503, {}, b""), (503, {}, b"")])
    server.answer = lambda path: next(given, None)
    pauses: list[float] = []
    monkeypatch.setattr(patience, "sleep", pauses.append)
    set_archives(monkeypatch, archive(server, pause_seconds=3))
    sending, job = confirmed(own, archive(server), labelling)
    send(job, quiet)
    assert set(states(sending).values()) == {"sent"}
    assert pauses == [3, 6]
    assert len(server.asked) == 5


def test_an_archive_that_is_gone_fails_after_some_tries(
    own: Hospital, labelling: Labelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_archive() as server:
        pass
    gone = archive(server, tries=3)
    set_archives(monkeypatch, gone)
    sending, job = confirmed(own, gone, labelling)
    with pytest.raises(Unreachable, match=r"cannot be reached.* 3 times.* 0 of 3 objects have"):
        send(job, quiet)
    assert all("cannot be reached" in part.said for part in sending.parts.all())
    assert set(states(sending).values()) == {"failed"}


def test_a_silent_archive_does_not_hold_the_job(
    own: Hospital, labelling: Labelling, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = lambda path: time.sleep(1.0)
    slow = archive(server, tries=2, timeout_seconds=0.2)
    set_archives(monkeypatch, slow)
    _, job = confirmed(own, slow, labelling)
    with pytest.raises(Unreachable, match="did not answer in time"):
        send(job, quiet)


def test_a_right_that_was_taken_ends_a_sending(
    own: Hospital, labelling: Labelling, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_archives(monkeypatch, archive(server))
    sending, job = confirmed(own, archive(server), labelling)

    def say(progress: str, share_done: float) -> None:
        if progress == "object 2 of 3":
            own.people[Role.PHYSICIAN].memberships.all().delete()

    with pytest.raises(CovidlitError, match=r"this scan any more\. 1 of 3 objects have arrived"):
        send(job, say)
    assert list(states(sending).values()) == ["sent", "failed", "failed"]
    assert len(server.stored) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "http://127.0.0.1:9/other"}, "another address now"),
        ({"centres": ("south",)}, "not among the archives of this centre"),
        ({"name": "renamed"}, "not among the archives of this centre"),
        ({"user": "a", "password_file": "/no/such/file"}, "cannot be read"),
        ({"user": "a", "password_variable": "NO_SUCH_VARIABLE"}, "is not set"),
    ],
)
def test_settings_that_have_changed_since_are_respected(
    change: dict[str, Any], said: str, own: Hospital, labelling: Labelling, server: WebArchive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    sending, job = confirmed(own, archive(server), labelling)
    set_archives(monkeypatch, archive(server, **change))
    with pytest.raises(CovidlitError, match=said):
        send(job, quiet)
    assert set(states(sending).values()) == {"failed"}
    assert server.asked == []


def test_a_file_that_changed_is_not_sent(
    own: Hospital, labelling: Labelling, server: WebArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_archives(monkeypatch, archive(server))
    sending, job = confirmed(own, archive(server), labelling)
    changed, gone, kept = (each.path for each in objects_of(labelling))
    data = dcmread(changed)
    data.PatientID = "somebody else"
    data.save_as(changed)
    gone.unlink()
    with pytest.raises(CovidlitError, match="1 of 3 objects have arrived, 2 have not"):
        send(job, quiet)
    assert states(sending) == {changed.name: "failed", gone.name: "failed", kept.name: "sent"}


def test_objects_stay_with_their_labelling(own: Hospital, labelling: Labelling) -> None:
    before = {each.name: each.path.read_bytes() for each in objects_of(labelling)}
    quantified = settings.FOLDER.results / "quantified"
    quantified.mkdir(exist_ok=True)
    for name, content in before.items():
        (quantified / name).write_bytes(content)
        (settings.FOLDER.results / labelling.folder / "dicom" / name).unlink()
    keep_objects(quantified, settings.FOLDER.results / labelling.folder)
    for path in quantified.iterdir():  # as a later version does
        new = path.with_suffix(".new")
        new.write_bytes(b"other labels")
        new.replace(path)
    assert {each.name: each.path.read_bytes() for each in objects_of(labelling)} == before


def test_objects_are_downloaded_with_a_trace(own: Hospital, labelling: Labelling) -> None:
    client = own.client(Role.PHYSICIAN)
    keys = {"pk": own.scans[0].pk, "version": 1}
    answer = client.get(reverse("objects", kwargs=keys))
    assert "secret" not in str(answer.headers).lower()
    archive = zipfile.ZipFile(BytesIO(b"".join(answer.streaming_content)))
    for each in objects_of(labelling):
        assert archive.read(each.name) == each.path.read_bytes()
        one = client.get(reverse("object", kwargs={**keys, "name": each.name}))
        assert b"".join(one.streaming_content) == each.path.read_bytes()
    for name in ("labels.zip", "..%2Flabels.zip", "none.dcm"):
        address = reverse("objects", kwargs=keys).replace(".zip", f"/{name}")
        assert client.get(address).status_code == 404
    assert client.get(reverse("objects", kwargs={**keys, "version": 2})).status_code == 404
    assert Entry.objects.filter(action="downloaded objects of").count() == 4


def test_a_certificate_that_is_not_trusted_is_refused(server: WebArchive) -> None:
    from covidlit.platform.pacs.web import Web

    there = archive(server, url=server.address.replace("http:", "https:"))
    with Web(there) as web, pytest.raises((Refused, Unreachable)):
        web.json("studies")
