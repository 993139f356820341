"""What is taken away from a platform while people work: processes, its database, its archive."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from faults_archive import Archive
from faults_people import Notes

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "platform"))
from platform_process import Person, Platform, patiently
from postgres import Server

PAUSE_S = (0.5, 6.0)
DATABASE_GONE_S, ARCHIVE_GONE_S = 5.0, 12.0
JOB = b"covidlit.platform.jobs.process"
PARTS = (b"gunicorn", b"db_worker", JOB, b"serve")
"""What is killed, by a part of its command; with `serve` all that it has started ends."""

SHARES = (6, 6, 6, 2)
"""How often each among 20: after `serve` was killed most of the time is its start."""

JOBS = ("take in", "measure", "correct", "send")
REQUESTS = ("upload", "correction", "sending")
_LOOK_S, _AIM_S, _FIRST_S = 0.02, 90.0, 180.0
_JOB_S, _REQUEST_S, _MORE = 5.0, 0.03, 2
"""A job, and a request, are hit at a random moment of so long, counted from their beginning."""


class Kills:
    """Kills, and counts what was hit.

    Args:
        platform: whose processes.
        notes: of the people who work there.
        archive: that results go to.
        boss: a session that sees all jobs.
        order: of what is random.

    Attributes:
        killed: processes, by the part of their command.
        jobs: that ran when they, or their worker, were killed, by kind.
    """

    def __init__(
        self, platform: Platform, notes: Notes, archive: Archive, boss: str, order: random.Random
    ) -> None:
        self.platform, self.notes, self.archive, self.order = platform, notes, archive, order
        self.killed: Counter[str] = Counter({part.decode(): 0 for part in PARTS})
        self.jobs: Counter[str] = Counter(dict.fromkeys(JOBS, 0))
        self._boss = Person(platform.address, boss)
        self._kinds: dict[int, str] = {}

    def kill(self, part: bytes, numbers: list[int] | None = None) -> None:
        """Kill the processes of a kind, or these of it."""
        running = self._jobs_of(numbers)
        if part == b"serve":
            self.platform.kill()
            self.platform.start()
            n_killed = 1
        else:
            found = self.platform.processes(part) if numbers is None else numbers
            n_killed = sum(_killed(number) for number in found)
        self.killed[part.decode()] += n_killed
        if part != b"gunicorn" and n_killed:
            for job in running.values():
                self.jobs[self._kind_of(job)] += 1

    def hit_job(self, kind: str) -> None:
        """Kill a job of a kind at a random moment, once it runs."""
        self._kill_when(kind, lambda: time.sleep(self.order.uniform(0.0, _JOB_S)))

    def hit_new_version(self) -> None:
        """Kill a correction when its files come into their place, before its row."""
        results = self.platform.root / "results"

        def wait() -> None:
            known, last = set(results.glob("*/versions/*/*")), time.monotonic() + _AIM_S
            while not set(results.glob("*/versions/*/*")) - known and time.monotonic() < last:
                time.sleep(_LOOK_S)

        self._kill_when("correct", wait)

    def hit_answer(self) -> None:
        """Kill a sending when the archive has an object of it, and has not answered."""
        with self.archive.held() as came:
            if came.wait(_AIM_S):
                self.kill(JOB, [own for own in self._jobs_of() if self._is(own, "send")])

    def hit_request(self, of: str) -> None:
        """Kill the server of pages while it answers a request."""
        last = time.monotonic() + _AIM_S
        while not self.platform.is_well() and time.monotonic() < last:
            time.sleep(_LOOK_S)
        before = self.notes.lost[of]
        while self.notes.lost[of] == before and time.monotonic() < last:
            if self.notes.under_way[of] and self.platform.processes(b"gunicorn"):
                time.sleep(self.order.uniform(0.0, _REQUEST_S))
                if self.notes.under_way[of]:
                    self.kill(b"gunicorn")
                    time.sleep(1.0)
            time.sleep(_LOOK_S / 10)

    def archive_gone(self) -> None:
        """The archive goes away for a while, when something is sent to it."""
        last = time.monotonic() + _AIM_S
        before = self.archive.times.total()
        while self.archive.times.total() == before and time.monotonic() < last:
            time.sleep(_LOOK_S)
        self.archive.stop()
        time.sleep(ARCHIVE_GONE_S)
        self.archive.start()
        self.killed["archive gone"] += 1

    def database_gone(self, database: Server) -> None:
        """The database stops, whoever is connected, and comes back."""
        database.stop()
        time.sleep(DATABASE_GONE_S)
        database.start()
        self.killed["database stopped"] += 1

    def acts(self, n_kills: int, database: Server | None) -> list[Callable[[], None]]:
        """All that happens; the kills that are aimed come beside `n_kills` random ones.

        The order is random but for corrections and sendings, of which there are none at first.
        """
        random_ones: list[Callable[[], None]] = [
            partial(self.kill, part) for part in self._random_parts(n_kills)
        ]
        gone: list[Callable[[], None]] = (
            [] if database is None else [partial(self.database_gone, database)]
        )
        n_early = n_kills // 3
        early = random_ones[:n_early] + gone
        early += [partial(self.hit_job, kind) for kind in JOBS[:2]]
        early.append(partial(self.hit_request, REQUESTS[0]))
        late = random_ones[n_early:] + gone
        late += [partial(self.hit_job, kind) for kind in JOBS[2:]]
        late += [partial(self.hit_request, of) for of in REQUESTS[1:]]
        late += [self.hit_new_version, self.hit_answer, self.archive_gone]
        self.order.shuffle(early)
        self.order.shuffle(late)
        return [*early, self.wait_for_correction, *late]

    def _random_parts(self, n_kills: int) -> list[bytes]:
        deck = [part for part, share in zip(PARTS, SHARES, strict=True) for _ in range(share)]
        found: list[bytes] = []
        while len(found) < n_kills:
            found += self.order.sample(deck, len(deck))
        return found[:n_kills]

    def wait_for_correction(self) -> None:
        """Wait until the first one is handed in, which needs a scan that is measured."""
        last = time.monotonic() + _FIRST_S
        while not self.notes.drawn and time.monotonic() < last:
            time.sleep(_LOOK_S)

    def go(self, n_kills: int, database: Server | None) -> None:
        """Do all of it, with pauses of random length; nothing more once people stop."""
        for act in self.acts(n_kills, database):
            if self.notes.stop.wait(self.order.uniform(*PAUSE_S)):
                return
            self._do(act)
        # An aim is missed where nothing of its kind came up in time, as on a busy machine.
        for _ in range(_MORE):
            for kind in (kind for kind in JOBS if not self.jobs[kind]):
                self._do(partial(self.hit_job, kind))
            for of in (of for of in REQUESTS if not self.notes.lost[of]):
                self._do(partial(self.hit_request, of))

    def _do(self, act: Callable[[], None]) -> None:
        act()
        print(dict(self.killed), dict(self.jobs), dict(self.notes.lost), flush=True)

    def _kill_when(self, kind: str, wait: Callable[[], None]) -> None:
        """Kill the job of a kind that runs first from now on, after a wait that starts with it."""
        known, last = set(self._jobs_of()), time.monotonic() + _AIM_S
        while time.monotonic() < last:
            for number in set(self._jobs_of()) - known:
                if self._is(number, kind):
                    wait()
                    self.kill(JOB, [number])
                    return
                known.add(number)
            time.sleep(_LOOK_S)

    def _is(self, number: int, kind: str) -> bool:
        job = self._jobs_of([number]).get(number)
        return job is not None and self._kind_of(job) == kind

    def _jobs_of(self, numbers: list[int] | None = None) -> dict[int, int]:
        """The jobs of processes by their number; None: of all that run."""
        found = {}
        for number in self.platform.processes(JOB) if numbers is None else numbers:
            try:
                words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if JOB in words:
                found[number] = int(words[words.index(JOB) + 1])
        return found

    def _kind_of(self, job: int) -> str:
        if job not in self._kinds:
            row = patiently(lambda: self._boss.call("GET", f"/jobs/{job}"))
            self._kinds[job] = row["kind"]
        return self._kinds[job]


def _killed(number: int) -> bool:
    try:
        os.kill(number, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
