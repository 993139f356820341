"""How much memory and time one file may take: what its header claims is held against these."""

from __future__ import annotations

import os
import struct
import zipfile
from math import ceil, isfinite
from pathlib import Path

from covidlit.errors import ConfigError

GIB = 1 << 30
MEMORY_VARIABLE = "COVIDLIT_MAX_GIB"
"""Environment variable: GiB that one file or scan may claim."""
SECONDS_VARIABLE = "COVIDLIT_DECODE_SECONDS"
"""Environment variable: seconds that one compressed slice may take to decode."""

_GIB = 2.0
_SECONDS = 6.0


def memory_limit() -> int:
    """Bytes that one file or scan may claim in memory: 2 GiB, or `COVIDLIT_MAX_GIB`.

    2 GiB are 4,096 slices of 512 x 512 as int16.

    Raises:
        ConfigError: the variable holds no positive number.
    """
    return int(_setting(MEMORY_VARIABLE, _GIB) * GIB)


def decode_seconds(pixels: int) -> float:
    """Seconds that the decoder may take for one slice: 6, or `COVIDLIT_DECODE_SECONDS`.

    Of slices of more than a megapixel as many times more.
    """
    return _setting(SECONDS_VARIABLE, _SECONDS) * max(1.0, pixels / (1 << 20))


def over_limit(claimed: float, what: str) -> str:
    """The problem where `claimed` bytes are above the limit, with its mend; empty where not.

    Args:
        claimed: bytes in memory.
        what: the subject of the sentence, such as "its header".
    """
    limit = memory_limit()
    if claimed <= limit:
        return ""
    return (
        f"{what} claims {claimed / GIB:.3g} GiB of memory, the limit is {limit / GIB:.3g} GiB "
        f"({MEMORY_VARIABLE}={ceil(claimed / GIB)} in the environment allows it)"
    )


def archive_problem(path: str | Path, expansion: float = 50, spare: int = 256 << 20) -> str:
    """Why a ZIP archive may not be unpacked into memory; empty where it may, or is none.

    Args:
        path: the file.
        expansion: by how much its content may be larger than itself.
        spare: bytes that it may hold in any case.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            claimed = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error):
        return ""
    size = Path(path).stat().st_size
    if os.environ.get(MEMORY_VARIABLE):
        return over_limit(claimed, "its content")
    if claimed <= max(spare, expansion * size):
        return ""
    return (
        f"its {size / 1e6:.1f} MB would become {claimed / GIB:.2g} GiB of memory, as no file that "
        f"covidlit writes ({MEMORY_VARIABLE}={ceil(claimed / GIB)} in the environment allows it)"
    )


def _setting(name: str, default: float) -> float:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and value > 0):
        raise ConfigError(
            f"must be a positive number, got {text!r}.",
            where=name,
            fix="set it to a number, or unset it.",
        )
    return value
