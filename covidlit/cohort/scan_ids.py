"""The name of a scan: of a series the same on every machine."""

from __future__ import annotations

import hashlib

from covidlit.errors import ManifestError


def scan_id_of(uid: str) -> str:
    """The scan_id of a series: "S" and 12 hex digits of SHA-256, the same on every machine.

    Args:
        uid: the original SeriesInstanceUID (not its pseudonym). Of a name, which can be guessed, a
            keyed hash (`covidlit.cohort.pseudonyms`), since this one has no key.
    """
    if not uid:
        raise ManifestError("a scan_id needs a series UID or a name, got an empty one.")
    return "S" + hashlib.sha256(f"covidlit scan {uid}".encode()).hexdigest()[:12]
