"""A platform as its users have it: processes, an upload by HTTP, jobs, pages, a worker killed."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

PASSWORD = "a long enough phrase"
_MINUTES = 4


class Browser:
    """Somebody who is logged in, without a picture."""

    def __init__(self, address: str) -> None:
        self.address = address
        jar = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def get(self, path: str) -> bytes:
        with self._opener.open(self.address + path) as answer:
            return bytes(answer.read())

    def text(self, path: str) -> str:
        return self.get(path).decode()

    def post(self, path: str, form_of: str, **data: str) -> str:
        """Send a form as it stands on a page; the address that one is led to."""
        content = {**data, "csrfmiddlewaretoken": self.token(form_of)}
        body = urllib.parse.urlencode(content).encode()
        with self._opener.open(urllib.request.Request(self.address + path, body)) as answer:
            return str(answer.url)

    def put(self, path: str, token: str, body: bytes) -> None:
        request = urllib.request.Request(
            self.address + path, body, headers={"X-CSRFToken": token}, method="PUT"
        )
        self._opener.open(request).close()

    def token(self, page: str) -> str:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.text(page))
        assert found is not None
        return found[1]

    def jobs(self) -> list[tuple[str, str]]:
        """Kind and state of the jobs, the newest first."""
        row = r'<th scope="row">([^<(]+) \(\d+\)</th>(?:<td>.*?</td>){4}<td>(\w+)</td>'
        return re.findall(row, self.text("/jobs/"))


def _covidlit(*arguments: str, **variables: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "covidlit", *arguments], check=True, capture_output=True,
        env=os.environ | variables,
    )  # fmt: skip


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "cohort"
    _covidlit(
        "synthesize", str(folder), "--preset", "severity", "--n-scans", "3", "--matrix", "64",
        "--thickness-mm", "10", "--n-jobs", "1",
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, cohort: Path) -> Iterator[tuple[str, Path]]:
    """Address and folder of a platform that runs."""
    root = tmp_path_factory.mktemp("platform") / "own"
    _covidlit(
        "platform", "init", str(root), "--admin", "boss", "--centre", "north",
        COVIDLIT_PLATFORM_PASSWORD=PASSWORD,
    )  # fmt: skip
    settings = (root / "platform.toml").read_text()
    settings = settings.replace('lesions = ""', f'lesions = "masks:{cohort / "truth"}"')
    settings = settings.replace('"administrators"  #', '"optional"  #')
    settings = settings.replace("lost_seconds = 45.0", "lost_seconds = 8.0")
    (root / "platform.toml").write_text(settings)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO", "COVIDLIT"))}
    own = subprocess.Popen(
        [sys.executable, "-m", "covidlit", "platform", "serve", str(root), "--port", str(port)],
        env=variables,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(lambda: _is_well(address), "the platform to answer")
        yield address, root
    finally:
        own.send_signal(signal.SIGTERM)
        assert own.wait(60) == 0


def _is_well(address: str) -> bool:
    try:
        return b'"database": true' in urllib.request.urlopen(f"{address}/health/").read()
    except (urllib.error.URLError, ConnectionError):
        return False


def _wait(well: Any, what: str) -> None:
    last = time.monotonic() + 60 * _MINUTES
    while not well():
        assert time.monotonic() < last, f"waited too long for {what}"
        time.sleep(0.5)


def _workers(root: Path) -> list[int]:
    """Processes that do jobs of this platform."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            command = (folder / "cmdline").read_bytes()
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"db_worker" in command and str(root).encode() in environment:
            found.append(int(folder.name))
    return found


def test_a_day_at_the_platform(running: tuple[str, Path], cohort: Path) -> None:
    address, root = running
    browser = Browser(address)
    assert "Log in" in browser.text("/")
    browser.post("/account/login/", "/account/login/", login="boss", password=PASSWORD)
    page = browser.post("/uploads/begin/", "/uploads/", centre="north", study_group="clinic")
    upload = urllib.parse.urlsplit(page).path
    token = browser.token(upload)
    files = sorted(path for path in (cohort / "dicom").rglob("*") if path.is_file())
    for path in files:
        name = urllib.parse.urlencode({"name": path.relative_to(cohort).as_posix(), "offset": 0})
        browser.put(f"/api/v1{upload}file?{name}", token, path.read_bytes())
    browser.put(f"/api/v1{upload}file?name=notes.txt&offset=0", token, b"no DICOM")
    browser.post(f"{upload}finish/", upload)

    # The worker is killed in the midst of it, and everything is there once all the same.
    _wait(lambda: ("take in", "running") in browser.jobs(), "the job to begin")
    for number in _workers(root):
        os.kill(number, signal.SIGKILL)
    _wait(
        lambda: all(state in ("done", "failed") for _, state in browser.jobs())
        and any(kind == "measure" for kind, _ in browser.jobs()),
        "the jobs to end",
    )  # fmt: skip
    assert {state for _, state in browser.jobs()} == {"done"}
    assert "3 new scans, 0 known ones, 0 refused" in browser.text(upload)

    patients = re.findall(r'href="(/patients/[^"?]+)[?"]', browser.text("/"))
    scans = [s for p in patients for s in re.findall(r'href="(/scans/\d+/)[?"]', browser.text(p))]
    assert len(scans) == len(set(scans)) == 3
    shown = browser.text(scans[0])
    assert "labelled by masks" in shown
    assert "Version 1" in shown
    assert browser.get(f"{scans[0]}slices/3.png").startswith(b"\x89PNG")
    assert "took in" in browser.text("/trail/")
    assert list((root / "uploads").iterdir()) == []
    _covidlit("platform", "verify", str(root))
    names = b"".join(path.read_bytes() for path in (root / "scans").glob("*/*/dicom/*"))
    assert b"SYN" in names  # the files are as they came; pages have pseudonyms alone
    assert not any("SYN" in browser.text(path) for path in [*patients, *scans])
