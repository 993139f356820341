"""A platform on a disk that gets full, and has room again: `full_disk.py FOLDER`, as JSON.

What is told: the statuses of pages and pieces before, while and after the disk is full, and whether
what is counted is what lies there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from covidlit.platform.folder import make_platform_folder
from covidlit.platform.setup import prepare

ROOT = Path(sys.argv[1])
prepare(make_platform_folder(ROOT / "platform", "Full"))

from django.test import Client  # noqa: E402
from platform_world import PASSWORD  # noqa: E402

from covidlit.platform.accounts.models import Centre, StudyGroup  # noqa: E402
from covidlit.platform.accounts.people import give_role, make_user  # noqa: E402
from covidlit.platform.accounts.rights import Role  # noqa: E402
from covidlit.platform.intake.models import Upload  # noqa: E402
from covidlit.platform.intake.receiving import folder_of  # noqa: E402
from covidlit.platform.operation.whole import missing_files, orphans  # noqa: E402

PIECE = 1 << 20
PAGES = ("/", "/uploads/", "/jobs/", "/health/")


def main() -> dict[str, Any]:
    """Fill the disk by an upload, look at pages, make room, go on."""
    user = make_user("anna", PASSWORD)
    give_role(user, Role.PHYSICIAN)
    Centre.objects.create(name="north")
    StudyGroup.objects.create(name="clinic")
    client = Client(raise_request_exception=False, HTTP_HOST="localhost")
    client.force_login(user)
    began = client.post(
        "/api/v1/uploads", {"centre": "north", "study_group": "clinic"}, "application/json"
    )
    upload = Upload.objects.get(pk=began.json()["id"])
    ballast = ROOT / "ballast"
    ballast.write_bytes(bytes(4 * PIECE))
    before = _pages(client)
    pieces: list[int] = []
    while len(pieces) < 100 and (not pieces or pieces[-1] == 200):
        pieces.append(_piece(client, upload, len(pieces)))
    while_full = {"again": _piece(client, upload, len(pieces) - 1), "pages": _pages(client)}
    ballast.unlink()
    after = _piece(client, upload, len(pieces) - 1)
    upload.refresh_from_db()
    lies = [path.stat().st_size for path in (folder_of(upload) / "files").rglob("*")]
    return {
        "begun": began.status_code,
        "before": before,
        "pieces": pieces,
        "while_full": while_full,
        "after": after,
        "pages_after": _pages(client),
        "counted": [upload.n_files, upload.n_bytes],
        "lies": [len(lies), sum(lies)],
        "missing": missing_files(),
        "orphans": orphans(),
    }


def _pages(client: Client) -> list[int]:
    return [client.get(page).status_code for page in PAGES]


def _piece(client: Client, upload: Upload, number: int) -> int:
    address = f"/api/v1/uploads/{upload.pk}/file?name=f{number}&offset=0"
    content = bytes([number]) * PIECE
    return client.put(address, content, "application/octet-stream").status_code


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()) + "\n")
