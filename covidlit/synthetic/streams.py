"""Independent random streams: each part of each scan has its own, whatever runs beside it."""

from __future__ import annotations

import hashlib
import zlib

import numpy as np


def stream(seed: int, part: str, *indices: int) -> np.random.Generator:
    """The generator of one part (such as "anatomy") of one patient or scan of a cohort.

    Args:
        seed: the cohort's seed, >= 0.
        part: what the numbers are for; streams of different parts are independent.
        indices: which patient, scan or slice, >= 0.
    """
    entropy = (seed, zlib.crc32(part.encode()), *indices)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def synthetic_uid(*parts: object) -> str:
    """A DICOM UID under 2.25 that depends on `parts` alone; always 43 characters long."""
    text = "/".join(["covidlit synthetic", *map(str, parts)])
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    return f"2.25.{10**37 + number % (9 * 10**37)}"
