"""A platform as processes, to be killed and started again, and people who use it by HTTP."""

from __future__ import annotations

import http.client
import json
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
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WELL_SECONDS = 240.0
GONE = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)
"""What asking a server raises that was killed meanwhile."""


class Platform:
    """A platform in a folder.

    Args:
        root: a new folder.
        **settings: texts of `platform.toml` to replace, by what they begin with.
    """

    def __init__(self, root: Path, settings: dict[str, str], database: str = "") -> None:
        self.root = root
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._own: subprocess.Popen[bytes] | None = None
        options = ["--admin", "boss", "--centre", "north", "--database", database]
        self._run("-m", "covidlit", "platform", "init", str(root), *options)
        path = root / "platform.toml"
        text = path.read_text()
        for key, value in {"second_factor": '"optional"', **settings}.items():
            text, n = re.subn(rf"(?m)^{key} = [^#\n]*", lambda _: f"{key} = {value} ", text)  # noqa: B023
            assert n == 1, key
        path.write_text(text)

    def start(self, quiet: bool = True) -> None:
        """Start it, and wait until it is well.

        What is left of one that was killed may hold the port for a moment, and answer: then it is
        started again.
        """
        said = subprocess.DEVNULL if quiet else None
        last = time.monotonic() + WELL_SECONDS
        while True:
            self._own = subprocess.Popen(
                [sys.executable, "-m", "covidlit", "platform", "serve", str(self.root), "--port",
                 str(self.port)],
                env=self._environment(), stdout=said, stderr=said,
            )  # fmt: skip
            while self._own.poll() is None:
                assert time.monotonic() < last, "it does not answer"
                if self.is_well():
                    time.sleep(3)
                    if self._own.poll() is None and self.is_well():
                        return
                time.sleep(0.2)
            assert time.monotonic() < last, "it ended"

    def is_well(self) -> bool:
        """Whether it says so."""
        try:
            with urllib.request.urlopen(f"{self.address}/health/", timeout=10) as answer:
                return bool(answer.status == 200)
        except GONE:
            return False

    def kill(self) -> None:
        """Kill what was started; what it has started ends with it."""
        assert self._own is not None
        self._own.kill()
        self._own.wait()
        # Else what still answers is taken for the next one, where starting takes long.
        last = time.monotonic() + WELL_SECONDS
        while self.processes(b"gunicorn") or self.processes(b"db_worker"):
            assert time.monotonic() < last, "what it had started goes on without it"
            time.sleep(0.1)

    def end(self) -> int:
        """Ask it to end; its exit code."""
        assert self._own is not None
        self._own.send_signal(signal.SIGTERM)
        return self._own.wait(150)  # a job that runs is waited for, and ended then

    @property
    def is_running(self) -> bool:
        """Whether the process that was started is there."""
        return self._own is not None and self._own.poll() is None

    def processes(self, of: bytes) -> list[int]:
        """Processes of this platform whose command holds some bytes."""
        found = []
        for folder in Path("/proc").iterdir():
            try:
                command = (folder / "cmdline").read_bytes()
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue
            if of in command and str(self.root).encode() in environment:
                found.append(int(folder.name))
        return found

    def ask(self, *what: str, script: Path = HERE / "platform_rows.py") -> Any:
        """What `platform_rows.py` says, or another script that works on the platform."""
        return json.loads(self._run(str(script), *what))

    def check(self) -> tuple[int, str]:
        """Exit code of `covidlit platform check`, and what it says."""
        done = self._done("-m", "covidlit", "platform", "check", str(self.root))
        return done.returncode, done.stdout + done.stderr

    def _run(self, *arguments: str) -> str:
        done = self._done(*arguments)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def _done(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments], env=self._environment(), capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO", "COVIDLIT"))}
        paths = [str(HERE), str(HERE.parents[1]), kept.get("PYTHONPATH", "")]
        own = {"COVIDLIT_PLATFORM": str(self.root), "PYTHONPATH": os.pathsep.join(paths)}
        return kept | own | {"COVIDLIT_PLATFORM_PASSWORD": "a long enough phrase"}


class Person:
    """Somebody with a session.

    Args:
        address: of the platform.
        key: of the session.
    """

    def __init__(self, address: str, key: str) -> None:
        self._address = address
        self._cookies = {"sessionid": key}

    def ask(self, path: str) -> bytes:
        """The content of a page.

        Raises:
            urllib.error.HTTPError: another status than 200.
        """
        return self._ask(path, None, "GET", {})[0]

    def send(self, path: str, **data: str) -> str:
        """Send a form; the address that one is led to."""
        body = urllib.parse.urlencode({**data, "csrfmiddlewaretoken": self._token()}).encode()
        return urllib.parse.urlsplit(self._ask(path, body, "POST", {})[1]).path

    def put(self, path: str, body: bytes) -> None:
        """Send a piece of a file."""
        headers = {"X-CSRFToken": self._token(), "Content-Type": "application/octet-stream"}
        self._ask(path, body, "PUT", headers)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """What an operation of the API answers.

        Args:
            method: of HTTP.
            path: below `/api/v1`.
            body: plain values; None: none.
        """
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"X-CSRFToken": self._token(), "Content-Type": "application/json"}
        sent = None if method == "GET" else content
        return json.loads(self._ask(f"/api/v1{path}", sent, method, headers)[0])

    def _ask(
        self, path: str, body: bytes | None, method: str, headers: dict[str, str]
    ) -> tuple[bytes, str]:
        own = {"Cookie": "; ".join(f"{k}={v}" for k, v in self._cookies.items()), **headers}
        request = urllib.request.Request(self._address + path, body, headers=own, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            if cookie := re.search("csrftoken=([^;]+)", str(answer.headers)):
                self._cookies["csrftoken"] = cookie[1]
            return bytes(answer.read()), str(answer.url)

    def _token(self) -> str:
        if "csrftoken" not in self._cookies:
            self.ask("/uploads/")
        return self._cookies["csrftoken"]


def patiently(do: Any, seconds: float = WELL_SECONDS) -> Any:
    """Do something again until the server is there to answer."""
    last = time.monotonic() + seconds
    while True:
        try:
            return do()
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise
        except GONE:
            pass
        assert time.monotonic() < last, "it does not answer"
        time.sleep(0.3)


def upload(person: Person, centre: str, study_group: str, files: list[Path], root: Path) -> None:
    """Bring files in, whatever happens to the server meanwhile."""
    address = patiently(lambda: begun(person, centre, study_group))
    for path in files:
        name = urllib.parse.urlencode({"name": path.relative_to(root).as_posix(), "offset": 0})
        content = path.read_bytes()
        patiently(lambda: person.put(f"{pieces_of(address)}?{name}", content))  # noqa: B023
    patiently(lambda: person.send(f"{address}finish/"))


def begun(person: Person, centre: str, study_group: str) -> str:
    """The page of a new upload."""
    address = person.send("/uploads/begin/", centre=centre, study_group=study_group)
    assert address != "/uploads/", "it may not begin an upload"
    return address


def pieces_of(address: str) -> str:
    """Where the pieces of an upload go, by its page."""
    return f"/api/v1{address}file"
