"""The first slice of a stored scan on screen: the platform beside Orthanc, by turns in one run.

python benchmarks/platform_viewing.py
python benchmarks/platform_viewing.py --slices 40 --matrix 128 --rounds 2

The same series lies in both, on one machine, and a method that knows it shows its middle slice.
In Chromium, driven by Playwright, logged in: the page of the scan with lungs and lesions outlined,
and the page of the series in Orthanc's own web viewer (Debian's orthanc-webviewer), each until the
slice is drawn. By HTTP: page and picture of the platform; beside them what clients of Orthanc's
DICOMweb do: metadata of the series, then the frame, windowed and made a PNG (as viewers such as
OHIF begin); the same with a search for the instances instead of the metadata, which is the least
that a client gets by with; metadata, then the picture that Orthanc draws (/rendered). The
platform's own DICOMweb is asked the first of these too.

Cold: a new connection or browser context, and the files of both dropped from the system's memory;
warm: a new connection or context once more. Ratios are medians of those of each round.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import numpy as np
import requests
from PIL import Image

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "platform")]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VIEWER = Path("/usr/share/orthanc/plugins/libOrthancWebViewer.so")
LOW, HIGH = -1350.0, 150.0
OURS = ("platform, page in a browser", "platform, page and picture by HTTP")
BESIDE = {OURS[0]: ("Orthanc's web viewer in a browser",)}
_DRAWN = """() => {
  const shown = document.querySelector('img.slice');
  if (shown) return shown.complete && shown.naturalWidth > 0;
  for (const canvas of document.querySelectorAll('canvas')) {
    const to = canvas.width && canvas.getContext('2d');
    if (!to) continue;
    const found = to.getImageData(0, 0, canvas.width, canvas.height).data;
    let least = 255, most = 0;
    for (let k = 0; k < found.length; k += 404) {
      if (found[k] < least) least = found[k];
      if (found[k] > most) most = found[k];
    }
    if (most - least > 60) return true;
  }
  return false;
}"""
Method = Callable[[], float | None]


def fill(series: Path) -> None:
    """In a process of the platform: the series as a scan with labels; prints what shows it."""
    import json

    from covidlit.dicom import read_series
    from covidlit.platform.folder import current_folder
    from covidlit.platform.setup import use_platform

    use_platform(current_folder())
    from django.conf import settings

    from covidlit.platform.accounts.models import Centre, StudyGroup, User
    from covidlit.platform.api.tokens import make_token
    from covidlit.platform.intake.models import Upload
    from covidlit.platform.intake.storing import store
    from covidlit.platform.registry.models import Labelling
    from covidlit.platform.viewing.planes import write_label_planes

    owner = User.objects.get(username="boss")
    group = StudyGroup.objects.get(name="clinic")
    upload = Upload.objects.create(
        owner=owner, centre=Centre.objects.get(name="north"), study_group=group
    )
    volume = read_series(series)
    files = sorted(series.iterdir())
    scan = store(upload, "S1", volume, files, "P1", "number", None).scan
    y, x = np.mgrid[-1 : 1 : volume.hu.shape[1] * 1j, -1 : 1 : volume.hu.shape[2] * 1j]
    lungs = ((np.abs(x) - 0.4) / 0.25) ** 2 + (y / 0.45) ** 2 < 1
    lesions = (x + 0.45) ** 2 + (y + 0.1) ** 2 < 0.008
    classes = np.broadcast_to(np.where(lesions, 3, lungs).astype(np.uint8), volume.hu.shape)
    place = settings.FOLDER.results / "P1" / "1"
    place.mkdir(parents=True)
    write_label_planes(classes, (classes == 3).astype(np.int32), place / "labels.zip")
    Labelling.objects.create(
        scan=scan, version=1, labelled_by="masks", folder="P1/1", factors={"n_lesions": 1}
    )
    series_row = scan.series.get()
    _, token = make_token(owner, "viewing", ["read"], 1)
    told = {"scan": scan.pk, "token": token, "study": series_row.study_pseudonym,
            "series": series_row.series_pseudonym}  # fmt: skip
    sys.stdout.write(json.dumps(told))


class Ours:
    """The platform.

    Args:
        platform: that is served.
        told: what `fill` has printed.
    """

    def __init__(self, platform: Any, told: dict[str, Any]) -> None:
        self.key = platform.ask("sessions", "1")[0]
        self.url = platform.address
        self.page = f"{self.url}/scans/{told['scan']}/"
        self.web = f"{self.url}/dicom-web/studies/{told['study']}/series/{told['series']}"
        self.headers = {"Authorization": f"Bearer {told['token']}"}

    def page_and_picture(self) -> None:
        """As a browser asks, without its styles and scripts."""
        with requests.Session() as session:
            session.cookies.set("sessionid", self.key)
            page = session.get(self.page, timeout=60)
            found = re.search(r'<img class="slice" src="([^"]+)"', page.text)
            assert found is not None, page.status_code
            _seen(session.get(self.url + found[1].replace("&amp;", "&"), timeout=60).content)


def plain_client(web: str, auth: dict[str, Any], way: str) -> None:
    """What a client of DICOMweb does to show the middle slice of a series.

    Args:
        web: address of the series.
        auth: of requests.
        way: "metadata" or "instances", and what is asked for then: "frame" or "rendered".
    """
    index, _, then = way.partition(", ")
    with requests.Session() as session:
        headers = {**auth.get("headers", {}), "Accept": "application/dicom+json"}
        options: dict[str, Any] = {"auth": auth.get("auth"), "timeout": 120}
        found = session.get(f"{web}/{index}", headers=headers, **options).json()
        found.sort(key=lambda each: int(each["00200013"]["Value"][0]))
        own = found[len(found) // 2]
        address = f"{web}/instances/{own['00080018']['Value'][0]}/frames/1"
        if then == "rendered":
            headers["Accept"] = "image/png"
            # Orthanc does not understand commas that are escaped, as `params` has them.
            query = f"window={(LOW + HIGH) / 2},{HIGH - LOW},linear"
            answer = session.get(f"{address}/rendered?{query}", headers=headers, **options)
            _seen(answer.content)
            return
        headers["Accept"] = 'multipart/related; type="application/octet-stream"'
        answer = session.get(address, headers=headers, **options)
        head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
        (part,) = BytesParser().parsebytes(head + answer.content).get_payload()
        size = [int(own[tag]["Value"][0]) for tag in ("00280010", "00280011")]
        hu = np.frombuffer(part.get_payload(decode=True), "<u2")[: size[0] * size[1]] - 1024.0
        grey = ((hu.reshape(size) - LOW) * (255 / (HIGH - LOW))).clip(0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(grey).save(buffer, "PNG", compress_level=1)
        _seen(buffer.getvalue())


def in_browser(browser: Any, address: str, **context: Any) -> float:
    """Open a page in a new context; seconds until its slice is drawn."""
    cookies = context.pop("cookies", [])
    own = browser.new_context(**context)
    own.add_cookies(cookies)
    page = own.new_page()
    started = time.perf_counter()
    page.goto(address, wait_until="commit", timeout=120_000)
    page.wait_for_function(_DRAWN, timeout=120_000, polling="raf")
    seconds = time.perf_counter() - started
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{'viewer' if 'viewer' in address else 'ours'}.png")
    own.close()
    return seconds


def _seen(png: bytes) -> None:
    picture = np.asarray(Image.open(io.BytesIO(png)))
    assert picture.max() > picture.min()


def drop_from_memory(folders: list[Path]) -> None:
    """Let the system forget what it holds of files; what programs hold of them stays theirs."""
    os.sync()
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)


def timed(method: Method) -> float:
    """Seconds: those that the method says, or that it took."""
    started = time.perf_counter()
    said = method()
    return time.perf_counter() - started if said is None else said


def orthanc_methods(archive: Any, series: Path) -> tuple[str, str]:
    """Addresses of the series in Orthanc, by DICOMweb and in its web viewer."""
    from pydicom import dcmread

    for path in sorted(series.iterdir()):
        answer = archive.post("instances", path.read_bytes())
        assert answer.status_code == 200
    header = dcmread(path, stop_before_pixels=True)
    uids = header.StudyInstanceUID, header.SeriesInstanceUID
    (own,) = archive.get("series").json()
    time.sleep(2)
    root = archive.url.removesuffix("/dicom-web")
    return (
        f"{archive.url}/studies/{uids[0]}/series/{uids[1]}",
        f"{root}/web-viewer/app/viewer.html?series={own}",
    )


def measured(arguments: argparse.Namespace, folder: Path) -> dict[str, list[list[float]]]:
    """Seconds of each method by round, cold and warm."""
    import json

    from dicom_series import write_series
    from orthanc_archive import PASSWORD, USER, orthanc
    from platform_process import Platform
    from playwright.sync_api import sync_playwright

    series = folder / "series"
    write_series(series, arguments.slices, arguments.matrix, spacing=1.0)
    platform = Platform(folder / "platform", {})
    told = json.loads(platform._run(str(Path(__file__).absolute()), "--fill", str(series)))
    with ExitStack() as running:
        archive = running.enter_context(orthanc(folder / "orthanc", viewer=VIEWER))
        web, viewer = orthanc_methods(archive, series)
        platform.start()
        running.callback(platform.end)
        ours = Ours(platform, told)
        play = running.enter_context(sync_playwright())
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        running.callback(browser.close)
        cookie = {"name": "sessionid", "value": ours.key, "url": ours.url}
        auth = {"auth": (USER, PASSWORD)}
        login = {"http_credentials": {"username": USER, "password": PASSWORD}}
        methods: dict[str, Method] = {
            OURS[0]: lambda: in_browser(browser, ours.page, cookies=[cookie]),
            OURS[1]: ours.page_and_picture,
            "Orthanc's DICOMweb: metadata, frame, drawn": lambda: plain_client(
                web, auth, "metadata, frame"
            ),
            "Orthanc's DICOMweb: metadata, /rendered": lambda: plain_client(
                web, auth, "metadata, rendered"
            ),
            "Orthanc's DICOMweb: search, frame, drawn": lambda: plain_client(
                web, auth, "instances, frame"
            ),
            "platform's DICOMweb: metadata, frame, drawn": lambda: plain_client(
                ours.web, {"headers": ours.headers}, "metadata, frame"
            ),
        }
        if VIEWER.exists():
            methods[BESIDE[OURS[0]][0]] = lambda: in_browser(browser, viewer, **login)
        found: dict[str, list[list[float]]] = {name: [[], []] for name in methods}
        for method in methods.values():
            method()  # programs load what they need
        names = list(methods)
        for number in range(arguments.rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                drop_from_memory([folder / "platform", folder / "orthanc"])
                for warm in (0, 1):
                    found[name][warm].append(timed(methods[name]))
                    print(f"{name}, {('cold', 'warm')[warm]}: {found[name][warm][-1]:.3f} s")
    return found


def report(arguments: argparse.Namespace, found: dict[str, list[list[float]]]) -> None:
    """Write medians, and how many times as long each of Orthanc's ways takes as ours."""
    from record import write_results

    command = " ".join(["python benchmarks/platform_viewing.py", *sys.argv[1:]])
    size = f"{arguments.slices} slices of {arguments.matrix} x {arguments.matrix}"
    figures = []

    def add(figure: str, value: float, unit: str, target: str | None, peer: str | None) -> None:
        figures.append(
            {"figure": f"{figure} ({size})", "value": round(value, 3), "unit": unit,
             "target": target, "peer": peer, "command": command}
        )  # fmt: skip

    for warm, said in enumerate(("cold", "warm")):
        for name, seconds in found.items():
            add(f"first slice, {said}: {name}", statistics.median(seconds[warm]), "s", None, None)
        for name, seconds in found.items():
            if not name.startswith("Orthanc"):
                continue
            ours = OURS[0] if name in BESIDE[OURS[0]] else OURS[1]
            pairs = zip(seconds[warm], found[ours][warm], strict=True)
            ratio = statistics.median(theirs / own for theirs, own in pairs)
            add(f"first slice, {said}: {name} / {ours}", ratio, "times", ">= 3", name)
    path = write_results("platform_viewing", figures)
    for figure in figures:
        print(figure["figure"], figure["value"], figure["unit"])
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--matrix", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fill is not None:
        fill(arguments.fill)
        return
    with tempfile.TemporaryDirectory() as folder:
        report(arguments, measured(arguments, Path(folder)))


if __name__ == "__main__":
    main()
