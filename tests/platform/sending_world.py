"""DICOM objects of a labelling, and archives in this process that take them."""

from __future__ import annotations

import email.parser
import email.policy
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from platform_world import Hospital
from ports import free_port, wait_for  # noqa: F401 (tests take them from here)
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    RLELossless,
    generate_uid,
)

from covidlit.platform.jobs.models import Job
from covidlit.platform.pacs.settings import DicomwebArchive, DimseArchive
from covidlit.platform.registry.models import Labelling, Scan
from covidlit.platform.sending.confirm import confirm
from covidlit.platform.sending.dicom_objects import objects_of
from covidlit.platform.sending.models import Sending

KINDS = {
    "classes.dcm": MultiFrameTrueColorSecondaryCaptureImageStorage,
    "factors.dcm": ComprehensiveSRStorage,
    "report.dcm": EncapsulatedPDFStorage,
}
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"


def write_object(path: Path, kind: str, name: str = "north", study: str = "1.2.3") -> Path:
    """An object of a patient called like a hospital's in `platform_world`."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = kind, generate_uid()
    data.PatientName, data.PatientID = f"Secret^{name}", f"secret-{name}"
    data.StudyInstanceUID, data.SeriesInstanceUID = study, generate_uid()
    data.StudyDate, data.Modality = "20200301", "CT" if kind == CTImageStorage else "OT"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if kind == EncapsulatedPDFStorage:
        data.EncapsulatedDocument = b"%PDF-1.7 " + bytes(range(256)) * 40
        data.MIMETypeOfEncapsulatedDocument = "application/pdf"
    elif kind != ComprehensiveSRStorage:
        data.Rows = data.Columns = 16
        data.BitsAllocated = data.BitsStored = 8
        data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 7, 0, 1
        data.PhotometricInterpretation, data.NumberOfFrames = "MONOCHROME2", 2
        pixels = np.random.default_rng(1).integers(0, 9, (2, 16, 16)).astype(np.uint8)
        data.PixelData = pixels.tobytes()
        data["PixelData"].VR = "OB"
        if kind == LABEL_MAP:
            data.compress(RLELossless, pixels, generate_instance_uid=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def with_objects(scan: Scan, **further: str) -> Labelling:
    """The newest labelling of a scan, with objects; the scan with a file of its series."""
    labelling = scan.labellings.get(disease="covid-19")
    name = scan.patient.centre.name
    folder = settings.FOLDER.results / labelling.folder / "dicom"
    for old in folder.glob("*"):
        old.unlink()
    for file, kind in {**KINDS, **further}.items():
        write_object(folder / file, kind, name)
    source = settings.FOLDER.scans / scan.folder / "dicom" / "00001.dcm"
    write_object(source, CTImageStorage, name)
    return labelling


def set_archives(
    patch: pytest.MonkeyPatch, *archives: DicomwebArchive | DimseArchive, **other: Any
) -> None:
    """Let the settings of the platform hold these archives."""
    whole = settings.FOLDER.settings.model_copy(update={"destinations": archives, **other})
    patch.setattr(settings.FOLDER, "settings", whole)


def confirmed(
    h: Hospital, archive: DicomwebArchive | DimseArchive, labelling: Labelling
) -> tuple[Sending, Job]:
    """A sending of all objects, confirmed by the hospital's physician."""
    who = next(iter(h.people.values()))
    sending = confirm(who, labelling, archive, {o.sop_instance_uid for o in objects_of(labelling)})
    assert sending.job is not None
    return sending, sending.job


def sending_of(h: Hospital) -> Sending:
    """A sending of the hospital's first scan, confirmed by the owner of its upload."""
    return Sending.objects.get_or_create(
        labelling=h.scans[0].labellings.get(disease="covid-19"), archive="pacs", address="http://pacs.example.org",
        confirmed_by=h.upload.owner,
    )[0]  # fmt: skip


def dcmtk(program: str) -> str | None:
    """A program of DCMTK; pynetdicom puts others of the same names among Python's own."""
    own = Path(sys.prefix) / "bin"
    places = [place for place in os.get_exec_path() if Path(place) != own]
    return shutil.which(program, path=os.pathsep.join(places))


def quiet(progress: str, share_done: float) -> None:
    """Nobody listens."""


@dataclass
class WebArchive:
    """A small DICOMweb server, on HTTP.

    Attributes:
        address: of its services.
        stored: files by SOPInstanceUID, as they came.
        asked: paths of all requests.
        headers: of all requests.
        answer: given instead of its own, by the path: status, headers, body.
    """

    address: str = ""
    stored: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    answer: Any = None


@contextmanager
def web_archive() -> Iterator[WebArchive]:
    own = WebArchive()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._note()
            if not self._given():
                self._send(200, "application/dicom+json", _stow(own, self.headers, body))

        def do_GET(self) -> None:
            self._note()
            if not self._given():
                self._send(*_search_or_fetch(own, self.path))

        def _note(self) -> None:
            own.asked.append(self.path)
            own.headers.append(self.headers)

        def _given(self) -> bool:
            given = own.answer(self.path) if own.answer else None
            if given is None:
                return False
            status, headers, body = given
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return True

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    own.address = f"http://127.0.0.1:{server.server_port}/dicom-web"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield own
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _stow(own: WebArchive, headers: Any, body: bytes) -> bytes:
    """Multipart read by Python's own parser of e-mails, in which binary parts survive."""
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    items = []
    for part in message.iter_parts():
        assert part.get_content_type() == "application/dicom"
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        data = dcmread(BytesIO(content))
        own.stored[str(data.SOPInstanceUID)] = content
        items.append(
            {
                "00081150": {"vr": "UI", "Value": [str(data.SOPClassUID)]},
                "00081155": {"vr": "UI", "Value": [str(data.SOPInstanceUID)]},
            }
        )
    return json.dumps({"00081199": {"vr": "SQ", "Value": items}}).encode()


def _search_or_fetch(own: WebArchive, path: str) -> tuple[int, str, bytes]:
    """QIDO-RS and WADO-RS of what was stored, as far as a fetch needs them."""
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(path)
    steps = parts.path.removeprefix("/dicom-web/").split("/")
    wanted = parse_qs(parts.query)
    found = [dcmread(BytesIO(content)) for content in own.stored.values()]
    names = {"studies": "StudyInstanceUID", "series": "SeriesInstanceUID",
             "instances": "SOPInstanceUID"}  # fmt: skip
    for level, uid in zip(steps[::2], steps[1::2], strict=False):
        found = [each for each in found if str(each[names[level]].value) == uid]
    if "PatientID" in wanted:  # whatever its capitals, as Orthanc has it
        patient = wanted["PatientID"][0].lower()
        found = [each for each in found if each.PatientID.lower() == patient]
    if len(steps) % 2 == 0:
        if not found:
            return 404, "text/plain", b"none"
        boundary = b"=_some boundary"
        content = b"".join(
            b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n"
            + own.stored[str(each.SOPInstanceUID)] + b"\r\n"
            for each in found
        )  # fmt: skip
        kind = 'multipart/related; type="application/dicom"; boundary="=_some boundary"'
        return 200, kind, content + b"--" + boundary + b"--\r\n"
    level = names[steps[-1]]
    first: dict[str, Dataset] = {}
    for each in found:
        first.setdefault(str(each[level].value), each)
    shown = []
    for each in first.values():
        short = Dataset()
        for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID",
                     "StudyDate", "Modality"):  # fmt: skip
            setattr(short, name, each.get(name))
        own_series = [e for e in found if e.SeriesInstanceUID == each.SeriesInstanceUID]
        short.NumberOfSeriesRelatedInstances = len(own_series)
        shown.append(short.to_json_dict())
    return 200, "application/dicom+json", json.dumps(shown).encode()
