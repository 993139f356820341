"""How much memory there is, and how much a process has taken."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that new processes may take: the machine's, or what a container's limit leaves.

    Returns:
        None where the system does not say.
    """
    found = [_of_machine(), *_of_containers(), _of_process()]
    return min((value for value in found if value is not None), default=None)


def held_memory() -> int:
    """Bytes that this process holds now; 0 where the system does not say."""
    return _status("VmRSS") or 0


def peak_memory() -> int:
    """The most bytes that this process has held at once."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    sizes = dict(line.split(":", 1) for line in lines)
    return 1024 * int(sizes["MemAvailable"].split()[0]) if "MemAvailable" in sizes else None


def _of_containers() -> list[int | None]:
    """What is left in the process's control groups and in those around them."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    left = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root = _CGROUP / controllers  # version 1 has a folder for each controller
        own = root / path.lstrip("/")
        inside = [folder for folder in (own, *own.parents) if folder.is_relative_to(root)]
        left += [_of_container(folder) for folder in {*inside, root}]
    return left


_FILES = (
    ("memory.max", "memory.current", ("inactive_file", "active_file")),
    ("memory.limit_in_bytes", "memory.usage_in_bytes",
     ("total_inactive_file", "total_active_file")),
)  # fmt: skip
"""Limit, use, and the use that is given up when needed (pages of files, such as mapped volumes), in
the two versions of control groups."""


def _of_container(folder: Path) -> int | None:
    for limit_name, used_name, files in _FILES:
        try:
            limit = (folder / limit_name).read_text().strip()
            used = int((folder / used_name).read_text())
            stat = (folder / "memory.stat").read_text().splitlines()
        except (OSError, ValueError):
            continue
        sizes = dict(line.split() for line in stat)
        used = max(0, used - sum(int(sizes.get(name, 0)) for name in files))
        return max(0, int(limit) - used) if limit.isdecimal() else None
    return None


def _of_process() -> int | None:
    """What `ulimit -v` leaves."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    held = _status("VmSize")
    return None if limit == resource.RLIM_INFINITY or held is None else max(0, limit - held)


def _status(name: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return 1024 * int(found[0]) if found else None
