"""Ports of this machine, for programs that a test starts."""

from __future__ import annotations

import socket
import time


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(port: int, seconds: float = 60.0) -> None:
    """Wait until somebody listens on a port."""
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("nobody listens")
