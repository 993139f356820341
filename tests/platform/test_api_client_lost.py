"""The client, once the platform that it sent to is gone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from covidlit.platform.client import Platform, PlatformError

JOB = {
    "id": 3, "kind": "take in", "centre": "north", "study_group": "clinic", "state": "running",
    "progress": "", "share_done": 0.0, "message": "", "is_over": False, "n_before": 0,
}  # fmt: skip
UPLOAD = {
    "id": 7, "centre": "north", "study_group": "clinic", "n_files": 1, "n_bytes": 3, "n_taken": 0,
    "n_known": 0, "most_piece": 100, "job": None, "refused": [],
}  # fmt: skip


class _GoneAtTheEnd(BaseHTTPRequestHandler):
    """Takes an upload, and hangs up on whoever asks what became of it."""

    def do_GET(self) -> None:
        if "/file" in self.path:
            self._answer({"size": 0})

    def do_PUT(self) -> None:
        self._answer({"size": 3})

    def do_POST(self) -> None:
        self._answer({**UPLOAD, "job": JOB} if self.path.endswith("/finish") else UPLOAD)

    def _answer(self, content: object) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _GoneAtTheEnd) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client has waited, which takes no time."""
    told: list[float] = []
    monkeypatch.setattr(time, "sleep", told.append)
    return told


def test_an_upload_that_was_sent_is_named_when_the_connection_is_lost(
    address: str, pauses: list[float], tmp_path: Path
) -> None:
    (tmp_path / "a.dcm").write_bytes(b"abc")
    with (
        Platform(address, "covidlit_x") as platform,
        pytest.raises(PlatformError, match=r"upload 7: all was sent.*find_upload\(7\)") as raised,
    ):
        platform.upload(tmp_path, "north", "clinic")
    assert "resume" not in str(raised.value)
    assert 55 < sum(pauses) < 75
    lost = pauses[1:]  # the first is between two looks
    assert lost == sorted(lost)


def test_a_platform_that_never_answered_is_given_up_sooner(pauses: list[float]) -> None:
    with Platform("http://127.0.0.1:1", "covidlit_x") as platform, pytest.raises(PlatformError):
        platform.me()
    assert 5 < sum(pauses) < 10
