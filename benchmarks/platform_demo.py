"""The demo of the platform as a newcomer meets it: from the command to a lesion in a browser.

    python benchmarks/platform_demo.py
    python benchmarks/platform_demo.py --install     # a fresh clone and `make platform-demo`

Starts `covidlit platform demo` in a temporary folder, logs in as the physician by HTTP as soon as
it answers, and asks for patients until one is measured; then for the page of its newest scan, and
for the slice of a lesion with its outline. Goes on until a score of severity stands on a patient's
page. Writes results/platform_demo.json; --install needs the package registry.
"""

from __future__ import annotations

import argparse
import http.cookiejar
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from record import write_results

ROOT = Path(__file__).parents[1]
MOST_SECONDS = 900.0
AWAY = (urllib.error.URLError, ConnectionError, TimeoutError)


class Visitor:
    """Somebody with a browser's cookies.

    Args:
        address: of the platform, without a slash at its end.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self._cookies)
        )

    def get(self, path: str) -> bytes:
        """The content at a path."""
        with self._opener.open(self.address + path, timeout=60) as answer:
            return bytes(answer.read())

    def log_in(self, username: str, password: str) -> None:
        """Log in.

        Raises:
            RuntimeError: the platform did not let in.
        """
        path = "/account/login/"
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(path).decode())
        assert token is not None
        form = {"csrfmiddlewaretoken": token[1], "login": username, "password": password}
        request = urllib.request.Request(
            self.address + path, urllib.parse.urlencode(form).encode(),
            headers={"Referer": self.address + path},
        )  # fmt: skip
        with self._opener.open(request, timeout=60) as answer:
            if answer.url.endswith(path):
                raise RuntimeError("the platform did not let in")


@contextmanager
def demo(command: list[str], cwd: Path | None = None) -> Iterator[tuple[str, dict[str, str]]]:
    """A demo that runs: its address, and the passwords by name of account."""
    own = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        address, accounts = "", {}
        assert own.stdout is not None
        for line in own.stdout:
            print(line, end="", flush=True)
            if "There are no severity scores" in line:
                raise RuntimeError("the severity model did not learn")
            if found := re.search(r"at (http://\S+?)/ ", line):
                address = found[1]
            if found := re.match(r"  (\w+) +(\S+)   ", line):
                accounts[found[1]] = found[2]
            if "scans are measured" in line:
                break
        if not address:
            raise RuntimeError(f"the demo ended with {own.wait()}")
        yield address, accounts
    finally:
        if own.poll() is None:
            os.killpg(own.pid, signal.SIGTERM)  # SIGINT is ignored in the background
            own.wait(120)


def until(do: Callable[[], Any]) -> Any:
    """Ask until there is an answer that is something."""
    last = time.monotonic() + MOST_SECONDS
    while time.monotonic() < last:
        try:
            if found := do():
                return found
        except AWAY as error:
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                raise
        time.sleep(0.25)
    raise TimeoutError("the demo does not get that far")


def patients(visitor: Visitor) -> set[str]:
    """The pages of patients, which have their pseudonyms in the address."""
    return set(re.findall(r'"(/patients/P\w+/)"', visitor.get("/").decode()))


def measured_scan(visitor: Visitor) -> str | None:
    """The page of a scan with a lesion."""
    for patient in patients(visitor):
        for scan in re.findall(r'"(/scans/\d+/)[?"]', visitor.get(patient).decode()):
            if "data-lesion=" in visitor.get(scan).decode():
                return scan
    return None


def lesion_slice(visitor: Visitor, scan: str) -> bytes:
    """The slice of a scan's first lesion, with outlines."""
    page = visitor.get(scan).decode()
    found = re.search(r'data-lesion="(\d+)" data-slice="(\d+)"', page)
    assert found is not None
    return visitor.get(f"{scan}slices/{found[2]}.png?lesion={found[1]}")


def is_coloured(picture: bytes) -> bool:
    """Whether a picture has anything in colour, as outlines are."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    return bool((np.ptp(pixels, axis=2) > 60).sum() > 20)


def score_of(visitor: Visitor) -> str | None:
    """A severity score that stands on a patient's page, with the range of its members."""
    for patient in patients(visitor):
        page = visitor.get(patient).decode()
        if found := re.search(
            r"<strong>(0\.\d+)</strong>: probability.*?its members: (\d\.\d+ to \d\.\d+)", page
        ):
            return f"{found[1]}, {found[2]}"
    return None


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--install", action="store_true", help="in a fresh clone, installed there")
    parser.add_argument("--port", default="8765")
    parser.add_argument("--no-record", action="store_true", help="print and write no result")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [
            sys.executable, "-m", "covidlit", "platform", "demo", str(folder / "demo"), "--port",
            given.port,
        ]  # fmt: skip
        cwd = None
        if given.install:
            cwd, command = folder / "covidlit", ["make", "platform-demo"]
            subprocess.run(["git", "clone", "--quiet", ROOT, cwd], check=True)
        start = time.monotonic()
        with demo(command, cwd) as (address, accounts):
            said = time.monotonic() - start
            visitor = Visitor(address)
            until(lambda: visitor.get("/health/"))
            visitor.log_in("physician", accounts["physician"])
            scan = until(lambda: measured_scan(visitor))
            picture = lesion_slice(visitor, scan)
            seen = time.monotonic() - start
            assert is_coloured(picture), "the slice has no outline"
            score = until(lambda: score_of(visitor))
            scored = time.monotonic() - start
    print(f"first lesion after {seen:.1f} s, first score ({score}) after {scored:.1f} s")
    how = "make platform-demo in a fresh clone" if given.install else "covidlit platform demo"
    own = "python benchmarks/platform_demo.py" + (" --install" if given.install else "")

    def figure(what: str, value: float, target: str | None) -> dict[str, Any]:
        return {
            "figure": f"{how}: seconds to {what}", "value": round(value, 1), "unit": "s",
            "target": target, "peer": None, "command": own,
        }  # fmt: skip

    if not given.no_record:
        write_results(
            "platform_demo_installed" if given.install else "platform_demo",
            [
                figure("its address and passwords", said, None),
                figure("the first slice with the outline of a lesion", seen, "<= 600"),
                figure("the first score of severity with its range", scored, None),
            ],
        )


if __name__ == "__main__":
    main()
