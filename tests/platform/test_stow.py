"""STOW-RS: what is taken becomes a scan by the job; what breaks off leaves nothing."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from email.message import Message
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from dicomweb_world import ct_slices, new_uid
from django.conf import settings
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from platform_world import Hospital, hospital
from pydicom import Dataset
from sending_world import quiet
from stow_bodies import BOUNDARY, KIND, body_of, file_of

from covidlit.platform.accounts.models import Centre
from covidlit.platform.accounts.people import give_role
from covidlit.platform.accounts.rights import Role
from covidlit.platform.dicomweb import parts as parts_room
from covidlit.platform.dicomweb.parts import MOST_HEAD, BrokenBody, Parts, boundary_of
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import folder_of
from covidlit.platform.intake.take_in import take_in
from covidlit.platform.operation.whole import orphans
from covidlit.platform.registry.models import Scan

pytestmark = pytest.mark.django_db


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


@pytest.fixture
def client(own: Hospital) -> Client:
    return own.client(Role.PHYSICIAN)


def send(client: Client, body: bytes, path: str = "studies", kind: str = KIND) -> Any:
    client.raise_request_exception = False
    return client.post(f"/dicom-web/{path}", body, content_type=kind)


def uids_in(answer: Any, tag: str) -> list[str]:
    items = answer.json().get(tag, {}).get("Value", [])
    return [each["00081155"]["Value"][0] for each in items]


def reasons_in(answer: Any, tag: str) -> list[int]:
    items = answer.json().get(tag, {}).get("Value", [])
    return [each["00081197"]["Value"][0] for each in items]


def is_untouched(own: Hospital) -> bool:
    """Whether nothing of a request is left: neither rows nor files."""
    left = [path for path in settings.FOLDER.uploads.rglob("*") if path.is_file()]
    left += [each for each in orphans() if each.startswith("uploads")]  # scans are other tests'
    return Upload.objects.exclude(pk=own.upload.pk).count() == 0 and not left


def test_what_is_stored_becomes_a_scan_by_the_job(client: Client, own: Hospital) -> None:
    slices = ct_slices("north", new_uid(), new_uid())
    slices += _further(slices)
    answer = send(client, body_of(slices), "studies?centre=north&study_group=clinic")
    assert answer.status_code == 202
    assert answer["Content-Type"] == "application/dicom+json"
    assert "whose job decides" in answer["Warning"]
    assert uids_in(answer, "00081199") == [each.SOPInstanceUID for each in slices]
    assert "00081198" not in answer.json()
    upload = Upload.objects.get(owner=own.people[Role.PHYSICIAN])
    assert upload.n_files == len(slices) == 12
    assert {p.read_bytes() for p in (folder_of(upload) / "files").iterdir()} == {
        file_of(each) for each in slices
    }
    assert upload.job is not None
    take_in(upload.job, quiet)
    upload.refresh_from_db()
    assert (upload.n_taken, upload.refused.count()) == (1, 0)
    scan = Scan.objects.exclude(pk__in=[each.pk for each in own.scans]).get()
    assert (scan.patient.centre, scan.n_slices) == (own.centre, 12)
    found = client.get(f"/dicom-web/studies/{slices[0].StudyInstanceUID}/series").json()
    assert found[0]["00201209"]["Value"] == [12]


def _further(slices: list[Dataset]) -> list[Dataset]:
    """As many again above them, since a scan of fewer than 12 is none."""
    study, series = slices[0].StudyInstanceUID, slices[0].SeriesInstanceUID
    above = ct_slices("north", study, series, seed=2)
    for k, each in enumerate(above, start=len(slices)):
        each.SOPInstanceUID, each.InstanceNumber = f"{series}.{k + 1}", k + 1
        each.ImagePositionPatient = [0, 0, 5.0 * k]
    return above


def test_failures_are_told_by_object_and_the_others_are_taken(client: Client) -> None:
    study, series = new_uid(), new_uid()
    first, second, third = ct_slices("north", study, series, n=3)
    other = ct_slices("north", study, series, seed=5, n=1)[0]  # of the first one's UID
    foreign = ct_slices("north", new_uid(), series, n=1)[0]
    foreign.SOPInstanceUID = new_uid()
    del third.SeriesInstanceUID
    bodies = [first, second, first, other, foreign, third, b"no DICOM", b""]
    answer = send(client, body_of(bodies), f"studies/{study}")
    assert answer.status_code == 202
    taken = [first, second, first]  # the same again is one
    assert uids_in(answer, "00081199") == [each.SOPInstanceUID for each in taken]
    assert uids_in(answer, "00081198") == [other.SOPInstanceUID, foreign.SOPInstanceUID]
    assert reasons_in(answer, "00081198") == [0x0111, 0xA900]
    assert reasons_in(answer, "0008119A") == [0xC000] * 3
    assert Upload.objects.latest("pk").n_files == 2


def test_where_nothing_can_be_taken_nothing_is_left(client: Client, own: Hospital) -> None:
    answer = send(client, body_of([b"no DICOM", file_of(ct_slices("x", "1.2", "1.3")[0])[:140]]))
    assert answer.status_code == 409
    assert reasons_in(answer, "0008119A") == [0xC000, 0xC000]
    assert is_untouched(own)


def test_a_body_that_breaks_off_leaves_nothing(client: Client, own: Hospital) -> None:
    body = body_of(ct_slices("north", new_uid(), new_uid()))
    for length in np.random.default_rng(0).integers(0, len(body) - 6, 20):
        answer = send(client, body[: int(length)])
        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"
        assert is_untouched(own)


def test_a_right_that_is_taken_meanwhile_leaves_nothing(
    client: Client, own: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(BytesIO):
        def read(self, *size: Any) -> bytes:
            own.people[Role.PHYSICIAN].memberships.all().delete()
            return super().read(*size)

    body = body_of(ct_slices("north", new_uid(), new_uid()))
    answer = client.generic(
        "POST", "/dicom-web/studies", body, content_type=KIND, **{"wsgi.input": Later(body)}
    )
    assert answer.status_code == 403
    assert is_untouched(own)


def test_a_part_that_is_being_taken_is_no_orphan(client: Client, own: Hospital) -> None:
    found: list[tuple[int, list[str]]] = []

    class Looking(BytesIO):
        def read(self, *size: Any) -> bytes:
            files = [each for each in settings.FOLDER.uploads.rglob("*") if each.is_file()]
            found.append((len(files), [each for each in orphans() if each.startswith("uploads")]))
            return super().read(*size)

    body = body_of([bytes(3 << 20)])
    answer = client.generic(
        "POST", "/dicom-web/studies", body, content_type=KIND, **{"wsgi.input": Looking(body)}
    )
    assert answer.status_code == 409
    assert max(n_files for n_files, _ in found) == 1
    assert not any(orphans_ for _, orphans_ in found)
    assert is_untouched(own)
    assert [each.name for each in settings.FOLDER.uploads.iterdir()] == []


def test_a_full_disk_leaves_nothing(
    client: Client, own: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("covidlit.platform.dicomweb.taking.add_piece", full)
    answer = send(client, body_of(ct_slices("north", new_uid(), new_uid())))
    assert answer.status_code == 507
    assert str(settings.FOLDER.root) not in answer.content.decode()
    assert is_untouched(own)


def test_limits_hold(client: Client, own: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    slices = ct_slices("north", new_uid(), new_uid())

    def limit(**limits: Any) -> None:
        uploads = settings.FOLDER.settings.uploads.model_copy(update=limits)
        whole = settings.FOLDER.settings.model_copy(update={"uploads": uploads})
        monkeypatch.setattr(settings.FOLDER, "settings", whole)

    before = settings.FOLDER.settings
    limit(max_files=3)
    assert send(client, body_of(slices)).status_code == 413
    assert is_untouched(own)
    monkeypatch.setattr(settings.FOLDER, "settings", before)
    limit(max_gib=(len(file_of(slices[0])) * 2.5) / 2**30)
    answer = send(client, body_of(slices[:4]))
    assert answer.status_code == 202
    assert reasons_in(answer, "00081198") == [0xA700] * 2
    limit(max_gib=1e-9, max_files=1)
    assert send(client, body_of(slices)).status_code == 413
    assert send(client, body_of(slices), kind=KIND).json()["fix"]
    assert Upload.objects.count() == 2


def test_the_place_is_named_where_there_are_several(client: Client, own: Hospital) -> None:
    body = body_of(ct_slices("north", new_uid(), new_uid(), n=1))
    assert send(client, body, "studies?centre=south").status_code == 403
    assert send(client, body, "studies?centre=south&study_group=clinic").status_code == 403
    give_role(own.people[Role.PHYSICIAN], Role.PHYSICIAN, Centre.objects.create(name="west"))
    assert send(client, body).status_code == 400
    assert is_untouched(own)
    assert send(client, body, "studies?centre=west").status_code == 202
    assert Upload.objects.latest("pk").centre.name == "west"


@pytest.mark.parametrize(
    ("kind", "status"),
    [("application/dicom", 415), ("multipart/form-data; boundary=x", 415), ("text/plain", 415),
     ("multipart/related", 400), ('multipart/related; boundary=""', 400),
     (f"multipart/related; boundary={'x' * 300}", 400), (KIND, 202),
     (f"Multipart/Related; boundary={BOUNDARY}", 202)],
)  # fmt: skip
def test_what_is_no_multipart_is_refused(kind: str, status: int, client: Client) -> None:
    body = body_of(ct_slices("north", new_uid(), new_uid(), n=1))
    assert send(client, body, kind=kind).status_code == status


def _read(body: bytes, sizes: int, boundary: bytes = b"b") -> list[tuple[Message, bytes]]:
    stream = BytesIO(body)
    found = Parts(lambda n: stream.read(min(n, sizes)), boundary)
    return [(head, b"".join(content)) for head, content in found]


@given(
    contents=st.lists(st.binary(max_size=60), min_size=1, max_size=5), sizes=st.integers(1, 50),
    before=st.sampled_from([b"", b"\r\n", b"preamble\r\n"]), after=st.binary(max_size=20),
)  # fmt: skip
def test_parts_are_those_that_were_sent_however_the_body_comes(
    contents: list[bytes], sizes: int, before: bytes, after: bytes
) -> None:
    clean = [each.replace(b"\r\n--b", b"") for each in contents]
    body = before + b"".join(b"--b\r\nX: 1\r\n\r\n" + each + b"\r\n" for each in clean)
    found = _read(body + b"--b--" + after, sizes)
    assert [content for _, content in found] == clean
    assert {head["X"] for head, _ in found} == {"1"}
    for cut in range(0, len(body) + 4, 7):
        with pytest.raises(BrokenBody):
            _read((body + b"--b--")[:cut], sizes)


def test_a_large_part_is_read_in_bounded_memory() -> None:
    def stream() -> Iterator[bytes]:
        yield b"--b\r\n\r\n"
        for _ in range(400):
            yield bytes(parts_room._CHUNK)
        yield b"\r\n--b--"

    pieces, total = stream(), 0
    tracemalloc.start()
    for _, content in Parts(lambda n: next(pieces, b""), b"b"):
        total += sum(map(len, content))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 400 * parts_room._CHUNK
    assert most < 8 * parts_room._CHUNK


def test_heads_without_an_end_are_refused_early() -> None:
    for body in (b"x" * 10**7, b"--b\r\n" + b"x" * 10**7, b"--b" + b" " * 10**7):
        stream = BytesIO(body)
        with pytest.raises(BrokenBody):
            list(Parts(stream.read, b"b"))
        assert stream.tell() <= 4 * parts_room._CHUNK + MOST_HEAD
    assert boundary_of(KIND) == BOUNDARY.encode()
