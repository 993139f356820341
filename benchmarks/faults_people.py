"""People who bring scans in, correct and send them, whatever happens to the server meanwhile.

Each does as a person does whose page broke off: looks whether it was done, and does it if not.
"""

from __future__ import annotations

import sys
import threading
import time
import urllib.error
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from faults_archive import sum_of_data_set

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "platform"))
from platform_process import GONE, WELL_SECONDS, Person, patiently, upload

LONGEST_S = 600.0
"""Of a correction until it is a version, of a sending until all of it was sent."""
LOOK_S, AGAIN_S = 0.5, 3.0
MOST_OPEN = 3
"""Jobs that wait or run, until which nobody uploads a patient again."""

CLASS_NAMES = ("consolidation", "ground_glass")
SIDE, TALLER = 5, 3


@dataclass
class Drawn:
    """A correction that was handed in.

    Args:
        scan: number of it.
        version: that it began on.
        lesion: number of the lesion that was drawn.
        slice_index: where.
        box: (x0, y0, x1, y1) of its pixels.
        class_name: of it.
    """

    scan: int
    version: int
    lesion: int
    slice_index: int
    box: tuple[int, int, int, int]
    class_name: str


@dataclass
class Asked:
    """A sending that was asked for.

    Args:
        labelling: number of it.
        objects: SHA-256 of the data set by SOPInstanceUID.
    """

    labelling: int
    objects: dict[str, str]


@dataclass
class Notes:
    """What people have done, and what is under way.

    Attributes:
        drawn, asked: what was handed in, and asked for.
        n_uploads: that were finished.
        under_way: requests by what they are for: upload, correction, sending.
        lost: answers that never came, by the same.
        by_hand: jobs that were given up, and tried again by a person.
        stop: nothing new is begun once it is set.
    """

    drawn: list[Drawn] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    n_uploads: int = 0
    under_way: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    by_hand: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _held: set[str] = field(default_factory=set)
    _rounds: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def request(self, of: str) -> Iterator[None]:
        """While a request is under way."""
        with self._lock:
            self.under_way[of] += 1
        try:
            yield
        except GONE as error:
            if not isinstance(getattr(error, "reason", error), ConnectionRefusedError | str):
                with self._lock:
                    self.lost[of] += 1
            raise
        finally:
            with self._lock:
                self.under_way[of] -= 1

    @contextmanager
    def patient(self, pseudonyms: list[str]) -> Iterator[str | None]:
        """A patient at whom nobody else works, the one with the least work done; None: none."""
        with self._lock:
            free = [each for each in pseudonyms if each not in self._held]
            own = min(free, key=lambda each: self._rounds[each], default=None)
            if own is not None:
                self._held.add(own)
                self._rounds[own] += 1
        try:
            yield own
        finally:
            with self._lock:
                self._held.discard(own or "")


class Watched(Person):
    """A person whose requests are noted.

    Args:
        address: of the platform.
        key: of the session.
        notes: where.
        of: what the requests are for.
    """

    def __init__(self, address: str, key: str, notes: Notes, of: str) -> None:
        super().__init__(address, key)
        self.notes, self.of = notes, of

    def _ask(
        self, path: str, body: bytes | None, method: str, headers: dict[str, str]
    ) -> tuple[bytes, str]:
        with self.notes.request(self.of):
            return super()._ask(path, body, method, headers)

    def get(self, path: str) -> Any:
        """What an operation answers, asked until it does."""
        return patiently(lambda: self.call("GET", path))

    def do(self, path: str, body: Any, is_done: Callable[[], bool]) -> None:
        """Have something done once: after an answer that was lost one looks whether it was."""
        last = time.monotonic() + WELL_SECONDS
        while True:
            try:
                self.call("POST", path, body)
                return
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    raise AssertionError(f"{path}: {error.read().decode()}") from error
            except GONE:
                pass
            assert time.monotonic() < last, "it does not answer"
            time.sleep(0.3)
            if is_done():
                return


def bring_in(person: Watched, dicom: Path, places: Iterable[int]) -> None:
    """Upload patients again and again, a patient to an upload; each once, whatever happens.

    Args:
        person: brings them in.
        dicom: a folder for each patient.
        places: of his patients among them.
    """
    patients = sorted(path for path in dicom.iterdir() if path.is_dir())
    own = [patients[place] for place in places]
    for number in count():
        while (
            number >= len(own) and _n_open(person) >= MOST_OPEN and not person.notes.stop.is_set()
        ):
            person.notes.stop.wait(LOOK_S)
        if number >= len(own) and person.notes.stop.wait(LOOK_S):
            return
        files = sorted(path for path in own[number % len(own)].rglob("*") if path.is_file())
        upload(person, "north", "clinic", files, dicom)
        person.notes.n_uploads += 1


def _n_open(person: Watched) -> int:
    """How many jobs wait or run."""
    rows = person.get("/jobs?limit=100")["rows"]
    return sum(not row["is_over"] for row in rows)


def work(annotator: Watched, physician: Watched, results: Path) -> None:
    """Correct each scan of a patient and send what it became, one patient after the other.

    Args:
        annotator: corrects.
        physician: sends.
        results: folder of the platform, where the objects lie.
    """
    notes = annotator.notes
    while not notes.stop.wait(LOOK_S):
        patients = [row["pseudonym"] for row in annotator.get("/patients?limit=100")["rows"]]
        with notes.patient(patients) as own:
            scans = annotator.get(f"/patients/{own}/scans") if own is not None else []
            if any(scan["labelling"] is None for scan in scans):
                continue
            # What is measured against a scan before follows when that one is corrected, and its
            # objects with it: they are sent when all of the patient's scans are through.
            for scan in scans:
                correct(annotator, scan)
            for scan in scans:
                send(physician, scan["id"], results)


def correct(person: Watched, scan: dict[str, Any]) -> None:
    """Draw a lesion on a slice and hand it in; wait until that is a version."""
    path = f"/scans/{scan['id']}/draft"
    draft = patiently(lambda: person.call("POST", path))  # begun twice it is one draft
    version = draft["version"]
    x = y = 4 + SIDE * (version % 8)
    index = min(scan["n_slices"] // 2 + version % 8, scan["n_slices"] - 1)
    drawn = {"slice_index": index, "contour": _box(x, y, x + SIDE, y + SIDE)}
    further = {"slice_index": index, "contour": _box(x, y + SIDE, x + SIDE, y + SIDE + TALLER)}
    edits = [
        {"kind": "new", "class_name": CLASS_NAMES[0], **drawn},
        {"kind": "add", **further},
        {"kind": "reclassify", "class_name": CLASS_NAMES[1]},
    ]
    for place, edit in enumerate(edits):
        own = edit | ({"lesion": draft["edits"][0]["lesion"]} if place else {})
        person.do(f"{path}/edits", own, lambda: len(person.get(path)["edits"]) > place)  # noqa: B023
        draft = person.get(path)
    person.do(f"{path}/save", None, lambda: person.get(path) is None)
    lesion, box = draft["edits"][0]["lesion"], (x, y, x + SIDE, y + SIDE + TALLER)
    person.notes.drawn.append(Drawn(scan["id"], version, lesion, index, box, CLASS_NAMES[1]))
    _until(lambda: person.get(f"/scans/{scan['id']}/correction"), lambda own: own["state"] is None)


def send(person: Watched, scan: int, results: Path) -> None:
    """Have all objects of a scan sent; wait until the archive has them."""
    seen = person.get(f"/scans/{scan}/sendable")
    there = {each["sha256"]: each for each in seen["objects"]}
    assert there, f"scan {scan} has no objects"
    own_scan = person.get(f"/scans/{scan}")["scan_id"]
    folder = results / seen["patient"] / "versions" / own_scan / str(seen["version"]) / "dicom"
    sums = {
        each["sop_instance_uid"]: sum_of_data_set((folder / each["name"]).read_bytes())
        for each in seen["objects"]
    }
    wanted = [{"sop_instance_uid": each["sop_instance_uid"], "sha256": own}
              for own, each in there.items()]  # fmt: skip

    def found() -> list[dict[str, Any]]:
        rows = person.get("/sendings?limit=100")["rows"]
        return [each for each in rows if each["labelling"] == seen["labelling"]]

    archive = seen["archives"][0]["name"]
    body = {"labelling": seen["labelling"], "archive": archive, "objects": wanted}
    person.do(f"/scans/{scan}/sendings", body, lambda: bool(found()))
    person.notes.asked.append(Asked(seen["labelling"], sums))
    number = found()[0]["id"]
    _until(
        lambda: person.get(f"/sendings/{number}"),
        lambda own: (
            own["job"]["state"] == "done"
            and all(each["state"] == "sent" for each in own["objects"])
        ),
    )


def try_again(person: Watched, over: threading.Event) -> None:
    """Have jobs tried again that were given up, as somebody does who presses the button."""
    while not over.wait(AGAIN_S):
        rows = person.get("/jobs?limit=100")["rows"]
        for number in (row["id"] for row in rows if row["state"] == "failed"):
            patiently(lambda: person.call("POST", f"/jobs/{number}/again"))  # noqa: B023
            person.notes.by_hand += 1


def _box(x0: int, y0: int, x1: int, y1: int) -> list[list[int]]:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def _until(look: Callable[[], Any], is_over: Callable[[Any], bool]) -> None:
    last = time.monotonic() + LONGEST_S
    while not is_over(found := look()):
        assert time.monotonic() < last, f"it does not end: {found}"
        time.sleep(LOOK_S)
