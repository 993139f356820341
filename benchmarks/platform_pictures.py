"""Pictures of every page of a platform at the width of a desk and of a phone, and what is wrong.

    python benchmarks/platform_pictures.py pictures/
    python benchmarks/platform_pictures.py pictures/ --address http://127.0.0.1:8000 \\
        --account physician:password --account administrator:password

Starts `covidlit platform demo` in a temporary folder (or takes one that is served), lets its scans
be measured and scored, and goes through the pages as every account that the demo has: those of the
table of addresses that a browser shows, with a real patient, scan, upload and so on. Writes
<page>-<account>-<width>.png; names pages that are wider than their window, text of too little
contrast, and the other faults of tests/platform/page_checks.py, and ends with 1 where there is one.
Needs Playwright and a chromium.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from platform_demo import Visitor, demo, measured_scan, score_of, until

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "platform"))
from page_checks import faults_of

WIDTHS = (1400, 390)
SEEN_FIRST = {
    "patient": ("/", r'"(/patients/[^/"]+/)"'),
    "upload": ("/uploads/", r'"(/uploads/\d+/)"'),
    "clinical_table": ("/clinical/", r'"(/clinical/\d+/)"'),
    "sending": ("/sendings/", r'"(/sendings/\d+/)"'),
    "grade_first": ("/grading/first/", r'"(/grading/first/\d+/)"'),
    "grade_second": ("/grading/second/", r'"(/grading/second/\d+/)"'),
}
"""Pages of one thing: where their address stands, and how it looks."""

PLAIN = {
    "patients": "/", "exports": "/exports/", "sendings": "/sendings/", "uploads": "/uploads/",
    "fetch": "/uploads/fetch/", "clinical_tables": "/clinical/", "jobs": "/jobs/",
    "grading": "/grading/", "first_queue": "/grading/first/", "second_queue": "/grading/second/",
    "people": "/people/", "trail": "/trail/", "tokens": "/tokens/", "api": "/api/",
    "password": "/account/password/change/", "second_factor": "/account/second-factor/",
    "not_found": "/patients/nobody/",
}  # fmt: skip


@contextmanager
def served(given: argparse.Namespace) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The platform that was named, or a demo: address and passwords."""
    if given.address:
        pairs = (each.partition(":") for each in given.account)
        yield given.address.rstrip("/"), {name: password for name, _, password in pairs}
        return
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "covidlit", "platform", "demo", str(Path(name) / "demo")]
        with demo([*command, "--port", given.port]) as found:
            yield found


def addresses(visitor: Visitor) -> dict[str, str]:
    """The pages that an account can be shown, by name."""
    found = dict(PLAIN)
    for name, (place, pattern) in SEEN_FIRST.items():
        try:
            page = visitor.get(place).decode()
        except OSError:
            continue  # not for this account
        if match := re.search(pattern, page):
            found[name] = match[1]
    if scan := measured_scan(visitor):
        found |= {"scan": scan, "correct": f"{scan}correct/", "send": f"{scan}send/"}
    for patient in set(re.findall(r'"(/patients/[^/"]+/)"', visitor.get("/").decode())):
        if 'id="severity"' in visitor.get(patient).decode():
            found["patient"] = patient
    return found


def log_in(page: Any, address: str, name: str, password: str) -> None:
    """Log an account in."""
    page.goto(f"{address}/account/login/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_load_state("networkidle")


def pictures(browser: Any, address: str, name: str, password: str, out: Path) -> list[str]:
    """Take the pictures of all pages as one account; what is wrong with them."""
    visitor = Visitor(address)
    visitor.log_in(name, password)
    pages = addresses(visitor)
    faults = []
    for width in WIDTHS:
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto(f"{address}/account/login/")
        page.screenshot(path=out / f"log_in-nobody-{width}.png", full_page=True)
        log_in(page, address, name, password)
        for shown, path in pages.items():
            answer = page.goto(address + path)
            page.wait_for_load_state("networkidle")
            if answer.status == 403 and shown != "people":
                continue
            for each in page.locator("details").all():
                each.evaluate("e => { e.open = true }")
            page.screenshot(path=out / f"{shown}-{name}-{width}.png", full_page=True)
            faults += [f"{shown} as {name} at {width}: {fault}" for fault in faults_of(page)]
        page.close()
    return faults


def main() -> int:
    """Take the pictures; 1 where a page has a fault."""
    from playwright.sync_api import sync_playwright  # only this benchmark needs it

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--address", default="", help="of a platform that is served")
    parser.add_argument("--account", action="append", default=[], help="NAME:PASSWORD, of that")
    parser.add_argument("--port", default="8766", help="of the demo")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with served(given) as (address, accounts), sync_playwright() as play:
        first = Visitor(address)
        until(lambda: first.get("/health/"))
        first.log_in(*next(iter(accounts.items())))
        until(lambda: measured_scan(first))
        until(lambda: score_of(first))
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        faults = [
            fault
            for name, password in accounts.items()
            for fault in pictures(browser, address, name, password, given.out)
        ]
        browser.close()
    print("\n".join(faults) or "no page has a fault")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
