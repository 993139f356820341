"""Every page in a browser, at the width of a desk and of a phone, in light and in dark colours."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from page_checks import faults_of, unreached_of
from platform_world import PASSWORD, Hospital, hospital
from test_matrix import PAGES

from covidlit.lesions.report.severity import ScoredValue, Severity
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.clinical.models import ClinicalRow, SeverityScore
from covidlit.platform.jobs.models import Job, JobState
from covidlit.platform.registry.models import Lesion

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTHS = (1400, 390)
LONG = "Universitaetsklinikum-fuer-Radiologie-und-Nuklearmedizin-Nord"
KINDS = {".css": "text/css", ".js": "text/javascript", ".html": "text/html"}
OTHERS = ("account_login", "account_change_password", "mfa_index", "account_reauthenticate")
"""Pages that are not ours, in our clothes."""

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]


@pytest.fixture(scope="module")
def browser(django_db_setup: None) -> Iterator[Any]:
    # Playwright's loop runs in the thread of the tests, where Django sees a danger.
    with pytest.MonkeyPatch.context() as patched, sync_api.sync_playwright() as play:
        patched.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        found = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def own() -> Hospital:
    """A hospital of long names, with all that pages show."""
    found = hospital(LONG)
    labelling = found.scans[-1].labellings.get()
    factors = {"volume_ml": 3.25, "max_diameter_3d_mm": 12.0, "mean_density_hu": -400.0}
    Lesion.objects.bulk_create(
        Lesion(
            labelling=labelling, number=k + 2, kind="interstitial_thickening", slice_index=2,
            factors=factors,
        )
        for k in range(12)
    )  # fmt: skip
    values = tuple(
        ScoredValue(
            f"f{k}", f"Lymphozytenverhaeltnis {k}", "10^9/L", 10.0 + k, 0.3,
            "" if k else "f0 10 is above the training range 1 to 5", 0.2 * k - 0.5, 0.1,
        )
        for k in range(8)
    )  # fmt: skip
    row = {"score": 0.7, "score_low": 0.6, "score_high": 0.8, "predicted_class": "severe",
           "operating_point": 0.4, "trained_on_synthetic": True}  # fmt: skip
    severity = Severity(row, values, 0.4, "severe", "fusion_ann", ("Nearest values.",))
    SeverityScore.objects.create(labelling=labelling, severity=asdict(severity))
    ClinicalRow.objects.bulk_create(
        ClinicalRow(
            table=found.table, patient=found.patient, date=date(2020, 3, day),
            values={"haemoglobin_g_per_l": 100.0 + day, "leukocytes_1e9_per_l": 5.0},
        )
        for day in range(1, 20)
    )  # fmt: skip
    Job.objects.update(
        state=JobState.FAILED, progress="measuring", message=f"no such file: /{LONG}/{LONG}.dcm"
    )
    return found


def everything(own: Hospital) -> Client:
    """Somebody of all roles."""
    user = make_user("somebody-who-does-all-there-is-to-do", PASSWORD)
    for role in Role:
        give_role(user, role, own.centre, own.group)
    client = Client()
    client.force_login(user)
    return client


def shown(browser: Any, path: str, html: str, picture: bytes, width: int) -> Any:
    """A page as a browser shows it, its files at hand."""
    page = browser.new_page(viewport={"width": width, "height": 900})

    def answer(route: Any) -> None:
        place = Path(urlsplit(route.request.url).path)
        if str(place) == urlsplit(path).path.rstrip("/") or str(place) == path:
            route.fulfill(body=html, content_type="text/html; charset=utf-8")
        elif place.suffix in KINDS and place.parts[1] == "static":
            own = Path(settings.STATIC_ROOT, *place.parts[2:])
            route.fulfill(path=own, content_type=KINDS[place.suffix])
        elif place.suffix == ".png":
            route.fulfill(body=picture, content_type="image/png")
        else:
            route.fulfill(status=204)

    page.route("**/*", answer)
    page.goto(f"http://platform.test{path}")
    page.wait_for_load_state("networkidle")
    return page


def checked(browser: Any, path: str, html: str, picture: bytes) -> list[str]:
    """What is wrong with a page, by the width of its window."""
    found = []
    for width in WIDTHS:
        page = shown(browser, path, html, picture, width)
        for each in page.locator("details").all():
            each.evaluate("e => { e.open = true }")
        found += [f"{width}: {fault}" for fault in faults_of(page) + unreached_of(page)]
        page.close()
    return found


def picture_of(client: Client, own: Hospital) -> bytes:
    return bytes(client.get(reverse("slice", args=[own.scans[0].pk, 2])).content)


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if page.method == "get"])
def test_a_page_is_for_everybody(name: str, own: Hospital, browser: Any) -> None:
    client = everything(own)
    if name == "correct":
        client.post(reverse("begin_correction", kwargs=PAGES["begin_correction"].keys(own)))
    page = PAGES[name]
    path = reverse(name, kwargs=page.keys(own))
    answer = client.get(path, page.data(own))
    if answer.status_code in (302, 404) or "text/html" not in answer["Content-Type"]:
        pytest.skip("no page: a picture, a file, or a way to another page")
    if name == "report":
        pytest.skip("a page of the library, which stands alone: see tests/lesions/report")
    assert answer.status_code == 200
    html = answer.content.decode()
    assert 'rel="stylesheet"' in html
    assert checked(browser, path, html, picture_of(client, own)) == []


@pytest.mark.parametrize("name", OTHERS)
def test_log_in_and_second_factor_are_for_everybody(name: str, own: Hospital, browser: Any) -> None:
    client = Client() if name == "account_login" else everything(own)
    path = reverse(name)
    answer = client.get(path, follow=True)
    assert answer.status_code == 200
    assert checked(browser, path, answer.content.decode(), b"") == []


@pytest.mark.parametrize("status", [403, 404])
def test_what_is_not_there_or_not_allowed_says_so_to_everybody(
    status: int, own: Hospital, browser: Any
) -> None:
    path = reverse("people") if status == 403 else reverse("patient", args=["nobody"])
    answer = own.client(Role.READER).get(path)
    assert answer.status_code == status
    assert checked(browser, path, answer.content.decode(), b"") == []


def test_the_checks_find_what_is_wrong(browser: Any) -> None:
    html = """<!doctype html><html lang="en"><title>t</title><main><h1>a</h1><h3>b</h3>
    <p style="color:#999;background:#fff">pale</p><div style="width:2000px">wide</div>
    <input name="x"><img src="/x.png"><svg></svg><button></button>
    <button style="outline:none">c</button><div tabindex="-1" role="button">d</div>
    <a href="#" tabindex="-1">e</a><div class="wide" style="overflow:auto;width:100px">
    <table style="width:900px"><thead><tr><th></th></tr></thead></table></div></main></html>"""
    faults = "\n".join(checked(browser, "/wrong/", html, b""))
    for word in (
        "the page is", "contrast 2.85", "no label", "no alt", "a drawing says nothing", "no name",
        "a heading is left out", "cannot be scrolled", "no hint", "no head of a column",
        "not reached by Tab: <a", "the focus is not seen",
    ):  # fmt: skip
        assert word in faults, word
