"""DICOMweb of a platform that is served, read and fed by independent programs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from dicomweb_world import ct_slices, new_uid
from orthanc_archive import MISSING, PASSWORD, USER, orthanc
from platform_world import N_SLICES, SIZE, volume
from pydicom import Dataset, dcmread
from sending_world import free_port, wait_for

from covidlit.dicom import Checks, read_series

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


class Served:
    """A platform that runs."""

    def __init__(self, port: int, root: Path) -> None:
        self.url = f"http://127.0.0.1:{port}/dicom-web"
        self.root, self.port = root, port
        self.tokens: dict[str, str] = json.loads((root / "tokens.json").read_text())

    def client(self, role: str) -> DICOMwebClient:
        """dicomweb-client with somebody's token."""
        return DICOMwebClient(self.url, headers=self.headers(role))

    def headers(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[role]}"}

    def uploads(self) -> list[dict[str, Any]]:
        """As the API tells them."""
        address = self.url.replace("dicom-web", "api/v1/uploads")
        answer = requests.get(address, headers=self.headers("PHYSICIAN"), timeout=30)
        found: list[dict[str, Any]] = answer.json()["rows"]
        return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("served") / "platform"
    port = free_port()
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO", "COVIDLIT"))}
    variables["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    script = [sys.executable, str(HERE / "dicomweb_served.py"), str(root), str(port)]
    server = subprocess.Popen(script, env=variables)
    try:
        wait_for(port, 240)
        yield Served(port, root)
    finally:
        server.terminate()
        server.wait(60)


def test_dicomweb_client_reads_the_scan_where_it_lies(served: Served, tmp_path: Path) -> None:
    client = served.client("READER")
    (study,) = client.search_for_studies(search_filters={"PatientID": "P-north"})
    found = Dataset.from_json(study)
    assert found.PatientName == "P-north"
    (series,) = map(
        Dataset.from_json,
        client.search_for_series(found.StudyInstanceUID, search_filters={"Modality": "CT"}),
    )
    uids = (found.StudyInstanceUID, series.SeriesInstanceUID)
    files = client.retrieve_series(*uids)
    assert len(files) == N_SLICES
    for number, each in enumerate(files):
        assert each.PatientName == "P-north"
        each.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    read, drawn = read_series(tmp_path, Checks(min_slices=N_SLICES)), volume(1)
    assert np.array_equal(read.hu, drawn.hu.clip(-1024, None))
    assert np.allclose(read.affine, drawn.affine)
    headers = [Dataset.from_json(each) for each in client.retrieve_series_metadata(*uids)]
    assert [h.SOPInstanceUID for h in headers] == [each.SOPInstanceUID for each in files]
    (frame,) = client.retrieve_instance_frames(*uids, headers[2].SOPInstanceUID, [1])
    stored = np.frombuffer(frame, "<u2").reshape(SIZE, SIZE)
    assert np.array_equal(stored, files[2].pixel_array)
    picture = client.retrieve_instance_rendered(
        *uids, headers[2].SOPInstanceUID, media_types=("image/png",)
    )
    assert picture.startswith(b"\x89PNG")
    one = client.retrieve_instance(*uids, headers[2].SOPInstanceUID)
    assert one.SOPInstanceUID == headers[2].SOPInstanceUID


def test_dicomweb_client_gets_the_objects_as_they_are_where_one_may_know(served: Served) -> None:
    client = served.client("PHYSICIAN")
    (study,) = map(Dataset.from_json, client.search_for_studies())
    files = client.retrieve_study(study.StudyInstanceUID)
    assert {each.PatientID for each in files} == {"secret-north"}
    stored = [dcmread(path) for path in served.root.rglob("dicom/*.dcm")]
    assert {each.SOPInstanceUID for each in files} == {each.SOPInstanceUID for each in stored}
    assert len(client.search_for_instances(study.StudyInstanceUID, get_remaining=True)) == len(
        stored
    )


@pytest.mark.parametrize("chunk", [10**6, 1000])
def test_dicomweb_client_stores_with_a_length_and_in_chunks(chunk: int, served: Served) -> None:
    client = DICOMwebClient(served.url, headers=served.headers("PHYSICIAN"), chunk_size=chunk)
    slices = ct_slices("north", new_uid(), new_uid(), n=4)
    for each in slices:
        each.ensure_file_meta()
        each.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        each.preamble = bytes(128)
    before = len(served.uploads())
    answer = client.store_instances(slices)
    stored = [each.ReferencedSOPInstanceUID for each in answer.ReferencedSOPSequence]
    assert stored == [each.SOPInstanceUID for each in slices]
    assert len(served.uploads()) == before + 1
    assert served.uploads()[0]["n_files"] == 4


@pytest.mark.parametrize("head", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_a_connection_that_breaks_leaves_nothing(head: str, served: Served) -> None:
    before = [each["id"] for each in served.uploads()]
    body = b"--b\r\n\r\n" + bytes(10**5)
    if "chunked" in head:
        body = f"{len(body):x}\r\n".encode() + body + b"\r\n5\r\nab"
    lines = ["POST /dicom-web/studies HTTP/1.1", "Host: 127.0.0.1", head,
             "Content-Type: multipart/related; boundary=b",
             f"Authorization: {served.headers('PHYSICIAN')['Authorization']}", "", ""]  # fmt: skip
    with socket.create_connection(("127.0.0.1", served.port)) as line:
        line.sendall("\r\n".join(lines).encode() + body)
        time.sleep(1)
    last = time.monotonic() + 30
    while [each["id"] for each in served.uploads()] != before or list(
        (served.root / "uploads").rglob(".stow.*")
    ):
        assert time.monotonic() < last
        time.sleep(0.2)


@pytest.mark.skipif(MISSING, reason="no Orthanc with its DICOMweb plugin here")
def test_orthanc_reads_and_stores_as_a_client(served: Served, tmp_path: Path) -> None:
    with orthanc(tmp_path / "orthanc") as archive:

        def ask(method: str, path: str, **json_: Any) -> Any:
            address = f"http://127.0.0.1:{archive.http}/{path}"
            answer = requests.request(
                method, address, json=json_ or None, auth=(USER, PASSWORD), timeout=60
            )
            assert answer.ok, answer.text
            return answer.json() if answer.content else None

        server = {"Url": served.url, "HttpHeaders": served.headers("PHYSICIAN")}
        ask("PUT", "dicom-web/servers/platform", **server)
        found = ask("POST", "dicom-web/servers/platform/get", Uri="/studies")
        study = found[0]["0020000D"]["Value"][0]
        ask("POST", "dicom-web/servers/platform/retrieve", Resources=[{"Study": study}])
        got = archive.instances()
        stored = [dcmread(p) for p in served.root.rglob("scans/**/dicom/*.dcm")]
        for each in stored:
            data = dcmread(BytesIO(got[each.SOPInstanceUID]))
            assert data.ImagePositionPatient == each.ImagePositionPatient
            assert np.array_equal(data.pixel_array, each.pixel_array)
        (instance,) = ask("GET", "instances?limit=1&since=0")
        before = len(served.uploads())
        ask("POST", "dicom-web/servers/platform/stow", Resources=[instance])
        assert len(served.uploads()) == before + 1
