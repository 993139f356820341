"""The page of an upload in a browser: what it says of what is sent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.urls import reverse
from platform_world import hospital

import covidlit.platform
from covidlit.platform.accounts.rights import Role
from covidlit.platform.intake.models import Upload

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SCRIPT = Path(covidlit.platform.__file__).parent / "static" / "upload.js"

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]


def test_what_is_sent_is_said(tmp_path: Path) -> None:
    own = hospital("north")
    client = own.client(Role.PHYSICIAN)
    upload = Upload.objects.create(
        owner=own.people[Role.PHYSICIAN], centre=own.centre, study_group=own.group
    )
    address = reverse("upload", kwargs={"pk": upload.pk})
    html = client.get(address).content.decode()
    sent: list[bytes] = []

    def answer(route: sync_api.Route) -> None:
        place = urlsplit(route.request.url).path
        if place == address:
            route.fulfill(body=html, content_type="text/html")
        elif place.endswith(".js"):
            route.fulfill(path=SCRIPT, content_type="text/javascript")
        elif place.endswith("/file"):
            piece = b""
            if route.request.method == "PUT":
                piece = route.request.post_data_buffer or b""
                sent.append(piece)
            route.fulfill(body=json.dumps({"size": len(piece)}), content_type="application/json")
        else:
            route.abort()

    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.route("**/*", answer)
        page.goto(f"http://platform.test{address}")
        said = page.get_by_role("status").last
        done = page.get_by_role("button", name="All is sent")
        page.get_by_role("button", name="Send", exact=True).click()
        sync_api.expect(said).to_have_text("Choose files first.")
        sync_api.expect(done).to_be_disabled()
        names = ["a.dcm", "b.dcm"]
        for name in names:
            (tmp_path / name).write_bytes(name.encode())
        for count, text in ((1, "1 file is sent."), (2, "2 files are sent.")):
            page.locator("#files").set_input_files([tmp_path / name for name in names[:count]])
            page.get_by_role("button", name="Send", exact=True).click()
            sync_api.expect(said).to_have_text(text)
            sync_api.expect(done).to_be_enabled()
        browser.close()
    assert sent == [b"a.dcm", b"a.dcm", b"b.dcm"]
