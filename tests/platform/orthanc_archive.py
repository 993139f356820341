"""Orthanc, an archive of others, as a process for a test."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from ports import free_port, wait_for

PROGRAM = next(
    (place for place in (shutil.which("Orthanc"), "/usr/sbin/Orthanc") if place and
     Path(place).exists()), None,
)  # fmt: skip
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
MISSING = PROGRAM is None or not PLUGIN.exists()
USER, PASSWORD = "platform", "of the archive"


@dataclass
class Orthanc:
    """Where it listens."""

    http: int
    dicom: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}/dicom-web"

    def get(self, path: str) -> Any:
        return requests.get(
            f"http://127.0.0.1:{self.http}/{path}", auth=(USER, PASSWORD), timeout=30
        )

    def post(self, path: str, body: bytes) -> Any:
        return requests.post(
            f"http://127.0.0.1:{self.http}/{path}", body, auth=(USER, PASSWORD), timeout=30
        )

    def instances(self) -> dict[str, bytes]:
        """Files by SOPInstanceUID."""
        found = {}
        for each in self.get("instances").json():
            uid = self.get(f"instances/{each}").json()["MainDicomTags"]["SOPInstanceUID"]
            found[uid] = self.get(f"instances/{each}/file").content
        return found


@contextmanager
def orthanc(
    folder: Path, *, unknown_kinds: bool = True, viewer: Path | None = None
) -> Iterator[Orthanc]:
    own = Orthanc(free_port(), free_port())
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "StorageDirectory": str(folder), "IndexDirectory": str(folder),
        "HttpPort": own.http, "DicomPort": own.dicom, "DicomAet": "ORTHANC",
        "DicomCheckCalledAet": True, "DicomAlwaysAllowStore": True,
        "RemoteAccessAllowed": False, "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "Plugins": [str(each) for each in (PLUGIN, viewer) if each and each.exists()],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "UnknownSopClassAccepted": unknown_kinds,
    }  # fmt: skip
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    process = subprocess.Popen(
        [str(PROGRAM), str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(own.http)
        wait_for(own.dicom)
        yield own
    finally:
        process.terminate()
        process.wait(60)
