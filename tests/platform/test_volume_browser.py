"""The scan in space, in a browser: with WebGL 2, without, and without the script."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from django.conf import settings
from page_browser import CHROMIUM, context_of, needs_chromium
from PIL import Image
from platform_world import Hospital, hospital, volume

import covidlit.platform
from covidlit.platform.accounts.rights import Role
from covidlit.platform.viewing import shown
from covidlit.platform.viewing.planes import write_planes
from covidlit.scans.scan import Scan as Volume

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
BUNDLE = Path(covidlit.platform.__file__).parent / "static" / shown.NIIVUE

pytestmark = [pytest.mark.django_db, pytest.mark.slow, needs_chromium]
needs_niivue = pytest.mark.skipif(
    not BUNDLE.is_file() and not os.environ.get("CI"), reason="covidlit was built without npm"
)

VIEW = "document.querySelector('.volume canvas').niivue"
CROSS = f"Array.from({VIEW}.frac2mm({VIEW}.scene.crosshairPos)).slice(0, 3)"
CENTRE_RAS = (-12.5, -12.5, 12.5)  # of the lesion of `scan_of`: 6 x 6 x 2 voxels of 1 x 1 x 5 mm


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


def _open(page: Any, address: str, own: Hospital) -> None:
    page.goto(f"{address}/scans/{own.scans[0].pk}/")
    page.get_by_role("button", name="Volume view").click()


def _canvas(page: Any) -> np.ndarray:
    picture = page.locator(".volume canvas").screenshot()
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), float)


@needs_niivue
def test_the_volume_is_turned_and_lesions_are_found_in_it(
    address: str,
    own: Hospital,
    tmp_path: Path,
) -> None:
    client = own.client(Role.READER)
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context: Any = context_of(
            browser, client, address, viewport={"width": 1400, "height": 1000}
        )
        page = context.new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/scans/{own.scans[0].pk}/")
        page.wait_for_load_state("networkidle")
        assert not [each for each in asked if "volume/" in each or "niivue" in each]
        page.get_by_role("button", name="Volume view").click()
        page.wait_for_selector(".volume[data-shown='128']")  # a processor draws here
        page.wait_for_timeout(500)
        assert _canvas(page).std() > 10
        page.screenshot(path=tmp_path / "volume-1400.png", full_page=True)

        # From the table to the volume.
        page.evaluate(f"{VIEW}.scene.crosshairPos = [0.9, 0.9, 0.9]")
        assert np.abs(np.array(page.evaluate(CROSS)) - CENTRE_RAS).max() > 5
        page.get_by_role("button", name="Show lesion 1").click()
        # Of the voxels of the lesion one that is next to its centre: half a voxel away.
        assert np.all(np.abs(np.array(page.evaluate(CROSS)) - CENTRE_RAS) <= (0.51, 0.51, 2.51))
        assert page.locator("tr.chosen").count() == 1

        # And back: where the cross is on the canvas, in a plane and in space, lies the lesion.
        for view in ("AXIAL", "RENDER"):
            page.locator(".volume-view").select_option(view)
            page.evaluate("document.querySelector('tr.chosen')?.classList.remove('chosen')")
            page.wait_for_timeout(300)
            box = page.locator(".volume canvas").bounding_box()
            at = {"x": box["width"] / 2, "y": box["height"] / 2}
            if view == "AXIAL":
                x, y = page.evaluate(
                    f"Array.from({VIEW}.frac2canvasPos({VIEW}.scene.crosshairPos))"
                )
                ratio = page.evaluate(f"{VIEW}.canvas.width / {VIEW}.canvas.clientWidth")
                at = {"x": x / ratio, "y": y / ratio}
            else:
                at = _grey(page)
            page.evaluate(f"{VIEW}.scene.crosshairPos = [0.9, 0.9, {VIEW}.scene.crosshairPos[2]]")
            page.locator(".volume canvas").click(position=at)
            page.wait_for_selector("tr.chosen")
            cross = np.array(page.evaluate(CROSS))
            assert np.all(np.abs(cross - CENTRE_RAS) <= (3, 3, 5)), view
            corner = page.locator(".volume canvas")
            page.evaluate("document.querySelector('tr.chosen').classList.remove('chosen')")
            corner.click(position={"x": 3, "y": 3})
            page.wait_for_timeout(300)
            assert page.locator("tr.chosen").count() == 0, view

        # One window for the slices and the volume, chosen at either.
        page.locator(".volume-view").select_option("AXIAL")
        page.locator(".volume-window").select_option("bone")
        assert page.evaluate(f"[{VIEW}.volumes[0].cal_min, {VIEW}.volumes[0].cal_max]") == [
            -450,
            1050,
        ]
        assert "window=bone" in page.locator(".viewer .slice").first.get_attribute("src")
        page.locator(".viewer .window").select_option("soft")
        assert page.evaluate(f"{VIEW}.volumes[0].cal_max") == 240

        # Finer, with everything where it was.
        page.get_by_role("button", name="Show lesion 1").click()
        before = page.evaluate(CROSS)
        page.locator(".volume-size").select_option("256")
        page.wait_for_selector(".volume[data-shown='256']")
        assert page.evaluate(CROSS) == pytest.approx(before, abs=0.01)
        value = f"{VIEW}.volumes[1].getValue(...{VIEW}.volumes[1].mm2vox({CROSS}))"
        assert page.evaluate(value) == 1
        assert page.evaluate(f"[{VIEW}.volumes.length, {VIEW}.meshes.length]") == [2, 2]

        # By keys too, and on a phone.
        before = page.evaluate(CROSS)
        page.locator(".volume canvas").focus()
        page.keyboard.press("ArrowUp")
        assert page.evaluate(CROSS)[2] == pytest.approx(before[2] + 5, abs=0.1)
        page.set_viewport_size({"width": 390, "height": 800})
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert _canvas(page).std() > 10
        page.screenshot(path=tmp_path / "volume-390.png", full_page=True)
        browser.close()
    assert {urlsplit(each).netloc for each in asked} - {urlsplit(address).netloc} <= {""}
    assert [each for each in asked if urlsplit(each).scheme not in ("http", "data")] == []
    assert [each for each in said if "GL Driver Message" not in each] == []


def _grey(page: Any) -> dict[str, float]:
    """The middle of the chosen lesion's surface: grey where lungs, lines and letters are not."""
    picture = _canvas(page)
    grey = (picture.min(axis=2) > 90) & (picture.max(axis=2) < 200) & (np.ptp(picture, axis=2) < 30)
    y, x = np.argwhere(grey).mean(axis=0)
    return {"x": float(x), "y": float(y)}


@needs_niivue
def test_without_webgl_the_page_says_so_and_has_its_slices(
    address: str,
    own: Hospital,
) -> None:
    client = own.client(Role.READER)
    with sync_api.sync_playwright() as play:
        without = ["--no-sandbox", "--disable-gpu", "--disable-3d-apis"]
        browser = play.chromium.launch(executable_path=CHROMIUM, args=without)
        page = context_of(browser, client, address).new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        _open(page, address, own)
        sync_api.expect(page.locator(".volume-said")).to_contain_text("has no WebGL 2")
        assert page.locator(".volume canvas").is_hidden()
        page.get_by_label("Slice", exact=True).press("ArrowRight")
        assert "/5.png" in page.locator(".slice").first.get_attribute("src") or "/4.png" in (
            page.locator(".slice").first.get_attribute("src")
        )
        page.get_by_role("button", name="Show lesion 1").click()
        assert "lesion=1" in page.locator(".slice").first.get_attribute("src")
        browser.close()
    assert errors == []


def test_a_platform_built_without_npm_says_so(
    own: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "NIIVUE", "vendor/none.js")
    content = own.client(Role.READER).get(f"/scans/{own.scans[0].pk}/").content.decode()
    assert "The volume view is not installed here" in content
    assert "volume.js" not in content
    assert "open-volume" not in content


def test_two_scans_turn_together_by_millimetres_in_all_planes(
    address: str,
    own: Hospital,
) -> None:
    scan, other = own.scans
    client = own.client(Role.READER)

    def lay(first_mm: tuple[float, float, float], step: float) -> None:
        """The other scan, of other slices at another place."""
        moved = volume(3)
        affine = moved.affine.copy()
        affine[2, 0] = step
        affine[:3, 3] = first_mm
        hu = np.repeat(moved.hu, 4, axis=0)
        write_planes(Volume(hu, affine), settings.FOLDER.scans / other.folder / "planes.zip")

    def indices(page: Any) -> tuple[int, int]:
        found = [page.locator(".slice").nth(k).get_attribute("src") for k in (0, 1)]
        numbers = [int(re.search(r"/(\d+)\.png", each)[1]) for each in found]  # type: ignore[index]
        return numbers[0], numbers[1]

    other.labellings.all().delete()  # they would be of other slices
    lay((-3.0, 6.0, -10.0), 2.0)
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = context_of(browser, client, address).new_page()
        page.goto(f"{address}/scans/{scan.pk}/")
        page.get_by_label("Beside it").select_option(index=1)
        said = page.locator(".together")
        sync_api.expect(said).to_contain_text("in millimetres")
        # Slice 3 of 6 lies at 15 mm, which is slice 12.5 of the other.
        assert indices(page)[0] == 3
        assert indices(page)[1] in (12, 13)
        place = page.get_by_label("Slice", exact=True)
        for plane, slice_, wanted in (("axial", 1, 7.5), ("coronal", 20, 14), ("sagittal", 20, 23)):
            page.get_by_label("Plane", exact=True).select_option(label=plane)
            place.fill(str(slice_ + 1))
            got = indices(page)
            assert got[0] == slice_, plane
            assert abs(got[1] - wanted) <= 0.5, plane
            source = page.locator(".slice").nth(1).get_attribute("src")
            assert (plane in source) == (plane != "axial")
        # Window and outlines are of both.
        page.get_by_label("Window").first.select_option("soft")
        page.get_by_label("outlines").uncheck()
        for k in (0, 1):
            query = parse_qs(urlsplit(page.locator(".slice").nth(k).get_attribute("src")).query)
            assert (query["window"], query["labels"]) == (["soft"], ["0"])
        # Moved by hand, it stays moved by as much; unlinked it stays where it is.
        page.get_by_label("Its slice").fill("28")
        place.fill("23")
        assert indices(page) == (22, 29)
        page.get_by_label("turn together").uncheck()
        place.fill("3")
        assert indices(page) == (2, 29)
        # Past the end of the other scan its last slice stays, and that is said.
        page.get_by_label("turn together").check()
        page.get_by_label("Plane", exact=True).select_option(label="coronal")
        place.fill("1")
        sync_api.expect(said).to_contain_text("ends before")
        # Positions that have nothing in common: by the part of the way.
        lay((0.0, 0.0, 900.0), 2.0)
        page.reload()
        page.get_by_label("Beside it").select_option(index=1)
        sync_api.expect(said).to_contain_text("by the part of the way")
        place.fill("6")
        assert indices(page) == (5, 23)
        browser.close()
