"""Objects sent by C-STORE, to pynetdicom's archive and to DCMTK's."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from platform_world import Hospital, hospital
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt
from sending_world import (
    KINDS,
    LABEL_MAP,
    confirmed,
    dcmtk,
    free_port,
    quiet,
    set_archives,
    wait_for,
    with_objects,
)

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.rights import Role
from covidlit.platform.pacs import patience
from covidlit.platform.pacs.errors import Refused, Unreachable
from covidlit.platform.pacs.settings import DimseArchive
from covidlit.platform.registry.models import Labelling
from covidlit.platform.sending.confirm import try_again
from covidlit.platform.sending.dicom_objects import objects_of
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
    return with_objects(own.scans[0], **{"lesions-1.dcm": LABEL_MAP})


@dataclass
class Taken:
    """What an archive has got: data sets by SOPInstanceUID; statuses to answer with."""

    data: dict[str, Dataset] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    port: int = 0


@contextmanager
def archive_of(
    port: int, kinds: list[str], syntaxes: list[str], abort_at: str = ""
) -> Iterator[Taken]:
    taken = Taken(port=port)

    def keep(event: evt.Event) -> int:
        data = event.dataset
        data.file_meta = event.file_meta
        if abort_at and str(data.SOPClassUID) == abort_at:
            event.assoc.abort()
        taken.data[str(data.SOPInstanceUID)] = data
        return taken.statuses.get(str(data.SOPClassUID), 0)

    entity = AE(ae_title="PACS")
    entity.require_called_aet = True
    for kind in kinds:
        entity.add_supported_context(kind, syntaxes)
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)]
    )
    try:
        yield taken
    finally:
        server.shutdown()


def archive(port: int, **other: Any) -> DimseArchive:
    given = {"name": "pacs", "kind": "dimse", "host": "127.0.0.1", "port": port,
             "ae_title": "PACS", "pause_seconds": 0.01, "tries": 2}  # fmt: skip
    return DimseArchive(**{**given, **other})


def states(sending: Sending) -> dict[str, str]:
    return dict(sending.parts.values_list("file", "state"))


ALL = [*KINDS.values(), LABEL_MAP]


@pytest.mark.parametrize("syntaxes", [ALL_TRANSFER_SYNTAXES, [ExplicitVRLittleEndian],
                                      [ImplicitVRLittleEndian]])  # fmt: skip
def test_objects_arrive_the_same_whatever_an_archive_takes(
    syntaxes: list[str], own: Hospital, labelling: Labelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    with archive_of(free_port(), ALL, list(syntaxes)) as taken:
        set_archives(monkeypatch, archive(taken.port))
        sending, job = confirmed(own, archive(taken.port), labelling)
        send(job, quiet)
        assert set(states(sending).values()) == {"sent"}
        send(job, quiet)
    objects = objects_of(labelling)
    assert set(taken.data) == {each.sop_instance_uid for each in objects}
    for each in objects:
        before, after = dcmread(each.path), taken.data[each.sop_instance_uid]
        if "PixelData" in before:
            assert (before.pixel_array == after.pixel_array).all()
            del before.PixelData, after.PixelData
        assert before == after


def test_each_status_is_read(
    own: Hospital, labelling: Labelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = [KINDS["classes.dcm"], KINDS["factors.dcm"], KINDS["report.dcm"]]
    with archive_of(free_port(), kinds, ALL_TRANSFER_SYNTAXES) as taken:
        taken.statuses = {kinds[0]: 0xB000, kinds[1]: 0xA701}
        set_archives(monkeypatch, archive(taken.port))
        sending, job = confirmed(own, archive(taken.port), labelling)
        with pytest.raises(CovidlitError, match="2 of 4 objects have arrived, 2 have not"):
            send(job, quiet)
    assert states(sending) == {
        "classes.dcm": "sent", "factors.dcm": "failed", "report.dcm": "sent",
        "lesions-1.dcm": "failed",
    }  # fmt: skip
    said = dict(sending.parts.values_list("file", "said"))
    assert "0xB000" in said["classes.dcm"]
    assert "no room (0xA701)" in said["factors.dcm"]
    assert "does not take objects of this kind" in said["lesions-1.dcm"]


def test_an_archive_that_does_not_know_us_says_so(
    own: Hospital, labelling: Labelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    with archive_of(free_port(), ALL, ALL_TRANSFER_SYNTAXES) as taken:
        wrong = archive(taken.port, ae_title="OTHER")
        set_archives(monkeypatch, wrong)
        sending, job = confirmed(own, wrong, labelling)
        with pytest.raises(Refused, match="called ae title not recognised"):
            send(job, quiet)
    assert set(states(sending).values()) == {"failed"}


def test_an_association_that_breaks_is_made_again(
    own: Hospital, labelling: Labelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    servers = [
        archive_of(port, ALL, ALL_TRANSFER_SYNTAXES, abort_at=str(KINDS["report.dcm"])),
        archive_of(port, ALL, ALL_TRANSFER_SYNTAXES),
    ]
    first = servers[0].__enter__()
    second: list[Taken] = []

    def back(seconds: float) -> None:
        servers[0].__exit__(None, None, None)
        second.append(servers[1].__enter__())

    monkeypatch.setattr(patience, "sleep", back)
    set_archives(monkeypatch, archive(port))
    sending, job = confirmed(own, archive(port), labelling)
    try:
        send(job, quiet)
    finally:
        servers[1].__exit__(None, None, None)
    assert set(states(sending).values()) == {"sent"}
    assert len(first.data) == 4  # the last came, and its answer did not
    assert len(second[0].data) == 1


def test_an_archive_is_gone_and_the_button_helps_when_it_is_back(
    own: Hospital, labelling: Labelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    set_archives(monkeypatch, archive(port))
    sending, job = confirmed(own, archive(port), labelling)
    with pytest.raises(Unreachable, match="2 times in a row"):
        send(job, quiet)
    assert set(states(sending).values()) == {"failed"}
    job.state = "failed"
    job.save()
    assert try_again(own.people[Role.PHYSICIAN], sending)
    sending.refresh_from_db()
    assert sending.job is not None
    with archive_of(port, ALL, ALL_TRANSFER_SYNTAXES) as taken:
        send(sending.job, quiet)
    assert len(taken.data) == 4


@pytest.mark.skipif(dcmtk("storescp") is None, reason="DCMTK is not installed")
def test_dcmtk_takes_what_it_knows(
    own: Hospital, labelling: Labelling, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = free_port()
    server = subprocess.Popen(
        [str(dcmtk("storescp")), "-aet", "PACS", "-od", str(tmp_path), "+xa", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(port)
        set_archives(monkeypatch, archive(port))
        sending, job = confirmed(own, archive(port), labelling)
        with pytest.raises(CovidlitError, match="3 of 4 objects have arrived, 1 have not"):
            send(job, quiet)
    finally:
        server.terminate()
        server.wait()
    # DCMTK of 2022 does not know label maps.
    assert [name for name, state in states(sending).items() if state != "sent"] == ["lesions-1.dcm"]
    arrived = {str(data.SOPInstanceUID): data for data in map(dcmread, tmp_path.iterdir())}
    for each in objects_of(labelling):
        if each.name != "lesions-1.dcm":
            assert arrived[each.sop_instance_uid] == dcmread(each.path)
