"""A contour drawn in a browser: by mouse, by touch, and typed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from correcting_world import edit, post
from django.urls import reverse
from page_browser import CHROMIUM, context_of, needs_chromium
from platform_world import Hospital, hospital

from covidlit.platform.accounts.rights import Role
from covidlit.platform.correcting.labels import slice_of
from covidlit.platform.correcting.models import Correction

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.slow,
    needs_chromium,
]


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


def test_a_lesion_is_drawn_by_mouse_by_touch_and_by_typing(
    address: str, own: Hospital, tmp_path: Path
) -> None:
    scan, client = own.scans[0], own.client(Role.ANNOTATOR)
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        wide = context_of(browser, client, address, viewport={"width": 1400, "height": 1000})
        page = wide.new_page()
        problems: list[str] = []
        page.on("console", lambda said: problems.append(said.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{address}/scans/{scan.pk}/")
        page.get_by_role("link", name="Correct the lesions").click()
        page.get_by_role("button", name="Begin").click()

        # A line with the mouse round the place that the picture has at (20, 20), of 32 x 32 pixels.
        page.get_by_label("Slice", exact=True).fill("3")
        page.get_by_label("What to do").select_option("new")
        page.get_by_label("Class").select_option("fibrosis")
        box = page.locator(".canvas").bounding_box()
        assert box is not None
        scale = box["width"] / 32

        def at(k: int) -> tuple[float, float]:
            angle = 2 * math.pi * k / 40
            x, y = 20 + 5 * math.cos(angle), 20 + 5 * math.sin(angle)
            return box["x"] + x * scale, box["y"] + y * scale

        page.mouse.move(*at(0))
        page.mouse.down()
        for k in range(1, 42):  # on over its own beginning, as hands do
            page.mouse.move(*at(k))
        page.mouse.up()
        page.screenshot(path=tmp_path / "drawn-1400.png", full_page=True)
        page.get_by_role("button", name="Apply").click()
        assert "New lesion 2 of fibrosis" in page.locator(".messages").inner_text()
        page.wait_for_load_state("networkidle")
        assert page.get_by_label("What to do").input_value() == "add", "on the next slice"
        page.screenshot(path=tmp_path / "applied-1400.png", full_page=True)

        # Corners by touch, on a phone: the lesion that was made is chosen already.
        phone = context_of(
            browser, client, address, viewport={"width": 390, "height": 844}, has_touch=True
        )
        small = phone.new_page()
        small.on("pageerror", lambda error: problems.append(str(error)))
        small.goto(f"{address}/scans/{scan.pk}/correct/?slice=4&kind=add&lesion=2")
        place = small.locator(".canvas").bounding_box()
        assert place is not None
        for x, y in ((18, 18), (24, 18), (24, 24), (18, 24)):
            small.touchscreen.tap(
                place["x"] + x * place["width"] / 32, place["y"] + y * place["height"] / 32
            )
        small.screenshot(path=tmp_path / "tapped-390.png", full_page=True)
        wider = small.evaluate("document.documentElement.scrollWidth")
        assert wider <= 390, "nothing is cut off at the width of a phone"
        small.get_by_role("button", name="Apply").click()
        assert "36 pixels more, 0 less" in small.locator(".messages").inner_text()

        # Typed, by keyboard alone.
        page.goto(f"{address}/scans/{scan.pk}/correct/?slice=5&kind=add&lesion=2")
        page.get_by_role("textbox", name="Points").focus()
        page.keyboard.type("10,10 14,10 14,14 10,14")
        page.keyboard.press("Tab")
        while page.evaluate("document.activeElement.textContent") != "Apply":
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=16 pixels more")
        page.get_by_role("button", name="Undo the last").click()
        page.get_by_role("button", name="Save as a new version").click()
        page.wait_for_selector("text=is being measured")
        page.screenshot(path=tmp_path / "saved-1400.png", full_page=True)
        browser.close()
    correction = Correction.objects.get()
    assert correction.saved_at is not None
    assert correction.edits.count() == 2, "the last was taken back"
    drawn, tapped = (np.count_nonzero(slice_of(correction, index)[1] == 2) for index in (2, 3))
    assert drawn == pytest.approx(math.pi * 25, rel=0.12)
    assert tapped == 36
    assert problems == []


@pytest.mark.parametrize("ended", ["failed", "cancelled"])
def test_the_page_tells_that_a_measurement_has_ended(
    ended: str, address: str, own: Hospital
) -> None:
    scan, client = own.scans[0], own.client(Role.ANNOTATOR)
    assert post(client, "begin_correction", scan) == 302
    new = {"kind": "new", "class": "fibrosis", "slice": 3, "points": "8,8 14,8 14,14 8,14"}
    assert edit(client, scan, **new) == 302
    assert post(client, "save_correction", scan) == 302
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = context_of(browser, client, address).new_page()
        states = ["running"]
        page.route(
            f"**{reverse('correction_state', kwargs={'pk': scan.pk})}*",
            lambda route: route.fulfill(json={"version": 1, "state": states[-1], "progress": ""}),
        )
        page.goto(f"{address}/scans/{scan.pk}/")
        page.wait_for_load_state("networkidle")
        states.append(ended)
        with page.expect_event("load", timeout=10_000):
            pass
        page.wait_for_load_state("networkidle")  # nothing more is asked for
        browser.close()
