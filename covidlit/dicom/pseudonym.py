"""Pseudonyms of DICOM unique identifiers, and texts without the names of files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable


def pseudonym_uid(uid: str) -> str:
    """A UID that stands for `uid` without containing it: `2.25.` and 128 bits of its SHA-256.

    Deterministic and without a key: a UID has enough entropy of its own that it cannot be guessed,
    so the same series gets the same pseudonym on every machine.

    Args:
        uid: a DICOM UID, or any other text that identifies a series.

    Source: DICOM PS3.5, section B.2 (UUID-derived UIDs).
    """
    number = int.from_bytes(hashlib.sha256(uid.strip().encode()).digest()[:16], "big")
    return f"2.25.{number}"


def without_file_names(text: str, names: Iterable[str]) -> str:
    """A finding with "a file" in place of each file name, for what is kept or passed on.

    Archives name files by patient or by UID. Names too short to tell anything (`IM1`, `0001`) stay,
    since they could be any number in the text.

    Args:
        text: a reason or a note.
        names: the file names that it may contain, without folders.
    """
    if not text:
        return text
    long = (name for name in names if len(name) > (4 if name.isdigit() else 3))
    telling = {name for name in long if name in text}
    if not telling:
        return text
    longest_first = sorted(telling, key=len, reverse=True)
    return re.sub(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", "a file", text)
