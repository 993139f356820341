"""How a process of covidlit runs: how its threads wait, when its garbage is collected, and how much
memory and time one file may take: what its header claims is held against these."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import struct
import zipfile
from math import ceil, isfinite
from pathlib import Path
from types import FrameType

from covidlit.errors import ConfigError, CovidlitError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

GIB = 1 << 30
MEMORY_VARIABLE = "COVIDLIT_MAX_GIB"
"""Environment variable: GiB that one file or scan may claim."""
SECONDS_VARIABLE = "COVIDLIT_DECODE_SECONDS"
"""Environment variable: seconds that one compressed slice may take to decode."""

_GIB = 2.0
_SECONDS = 6.0

SPINS = "1000"
"""Turns of a waiting thread before it sleeps; GNU's OpenMP takes some hundred thousand."""

LEAST_ADDRESSES = 700_000_000
"""Bytes of addresses that the libraries which read DICOM need to be loaded at all."""


def check_address_space() -> None:
    """Make sure that `ulimit -v` lets the libraries be loaded, some of which abort without room.

    Raises:
        CovidlitError: it does not.
    """
    if resource is None:
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY or limit >= LEAST_ADDRESSES:
        return
    raise CovidlitError(
        f"a process may take {limit / 1e6:.0f} MB here, and loading the libraries takes "
        f"{LEAST_ADDRESSES / 1e6:.0f} MB of addresses (training and prediction 5 GB).",
        where="ulimit -v",
        fix="allow more (`ulimit -v unlimited`), or ask for more memory where a scheduler sets it.",
    )


def let_waiting_threads_sleep() -> None:
    """Let OpenMP's threads sleep early while they wait, unless the user has chosen otherwise.

    Spinning threads keep a core from the one that they wait for as soon as anything else runs:
    `benchmarks/busy_cores.py` measures how much longer a training step takes then. OpenMP reads it
    when it is loaded, so this is to be called before torch is imported.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS


def collect_less() -> None:
    """Collect after 10,000 new objects instead of 700, and not at the end of the process.

    What torch, Lightning and the rest make while they are imported stays to the end, and the
    collector walks through it again and again: without this, `covidlit predict` takes half as much
    processor time again (7.4 s instead of 4.9 s), and importing what a command needs 8.6 s instead
    of 5.9 s (`benchmarks/garbage_collection.py`). What is to be closed at the end is closed by
    `atexit` or `with`, not by the collector.
    """
    gc.set_threshold(10_000, 20, 100)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)


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


def asked_to_end() -> list[int]:
    """Gets the number of a signal that asks this process to end, instead of ending it."""
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    return asked


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
