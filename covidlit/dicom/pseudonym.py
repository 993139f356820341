"""Pseudonyms of DICOM unique identifiers."""

from __future__ import annotations

import hashlib


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
