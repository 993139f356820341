"""The scores of a call that is under way: none is lost where it is killed, and the next goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from covidlit.cohort.scan_sources import ScanSource
from covidlit.files import fingerprint, write_text
from covidlit.preprocess.index import Signatures

if TYPE_CHECKING:
    import pandas as pd

SUFFIX = ".unfinished"
_SHARE = 20
"""Writing the table takes at most this part of the time."""


class ScoreJournal:
    """The scored rows of a table of scores, each as soon as it is known, in `<table>.unfinished`.

    The table itself is written anew, whole, from time to time. A later call into the same table
    takes over the rows of those scans whose files are the same, if the network and the settings
    are; whatever else the journal holds is of no use and goes.

    Args:
        out: the table of scores.
        settings: what the scores depend on beside the scan: a hash of the network and so on.
        write: writes a table to `out`.

    Attributes:
        n_known: scans whose rows were taken over.
    """

    def __init__(
        self, out: Path, settings: Mapping[str, Any], write: Callable[[pd.DataFrame], object]
    ) -> None:
        self.path = out.with_name(out.name + SUFFIX)
        self._key = fingerprint(dict(settings))
        self._write = write
        self._signatures = Signatures(None)
        self._keys: dict[tuple[str, str, str], str | None] = {}
        self._known = self._read()
        self._file: IO[str] | None = None
        self._due = time.monotonic()
        self.n_known = 0

    def known(self, source: ScanSource) -> dict[str, Any] | None:
        """The row of a scan that an earlier call has done; None where there is none."""
        key = self._source_key(source)
        row = None if key is None else self._known.get(key)
        return None if row is None else dict(row)

    def start(self, sources: Iterable[ScanSource]) -> None:
        """Keep of the journal what is known of these scans, and open it for more.

        Raises:
            CovidlitError: it cannot be written.
        """
        keys = {key for source in sources if (key := self._source_key(source)) in self._known}
        self.n_known = len(keys)
        lines = [json.dumps({"key": self._key})]
        lines += [json.dumps({"source": key, "row": self._known[key]}) for key in keys if key]
        write_text(self.path, "\n".join(lines) + "\n")
        self._file = self.path.open("a", encoding="utf-8")

    def add(self, source: ScanSource, row: Mapping[str, Any]) -> None:
        """Note the finished row of a scan that has a score; on the disk when this returns.

        A refused scan is tried again: the machine may have been what failed.
        """
        key = self._source_key(source) if row["status"] == "ok" else None
        if key is not None and self._file is not None:
            self._file.write(json.dumps({"source": key, "row": dict(row)}) + "\n")
            self._file.flush()

    def show(self, table: Callable[[], pd.DataFrame]) -> None:
        """Write the table as far as it goes, if the last time was long enough ago."""
        now = time.monotonic()
        if now >= self._due:
            self._write(table())
            self._due = now + max(1.0, _SHARE * (time.monotonic() - now))

    def finish(self, table: pd.DataFrame) -> None:
        """Write the whole table; the journal is of no more use."""
        self._write(table)
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the journal's file, which stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _source_key(self, source: ScanSource) -> str | None:
        """Of the files as they were before any was read: one that changes since has no row."""
        place = (source.scan_id, source.path, source.series_uid)
        if place not in self._keys:
            self._keys[place] = self._made_from(source)
        return self._keys[place]

    def _made_from(self, source: ScanSource) -> str | None:
        if source.location is None or source.read is None:
            return None
        try:
            files = self._signatures.of(source.location, source.series_uid or None)
        except OSError:
            return None
        return fingerprint([source.scan_id, source.path, files])

    def _read(self) -> dict[str | None, dict[str, Any]]:
        rows: dict[str | None, dict[str, Any]] = {}
        with suppress(OSError, ValueError):  # a line that a kill has cut short is the last
            for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines()):
                entry = json.loads(line)
                if number == 0:
                    if entry.get("key") != self._key:
                        break
                elif isinstance(entry.get("source"), str) and isinstance(entry.get("row"), dict):
                    rows[entry["source"]] = entry["row"]
        return rows
