"""Graphs as OpenVINO compiled them, kept for the next process.

Compiling an exported network and bringing its weights into the order that the processor wants takes
a second or two, and gives the same each time. What was compiled is kept in a folder of the user's
own; its name is a hash of all that it depends on, so that another file, runtime, processor or
option never meets it. Kept graphs are as large as the networks: the last few stay.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from covidlit.files import fingerprint

VARIABLE = "COVIDLIT_COMPILED"
"""Of the environment: another folder for them; empty: nothing is kept."""

MOST = 6
"""Graphs that are kept."""


def compile_kept(core: Any, path: Path, options: Mapping[str, Any]) -> Any:
    """A graph compiled for the CPU, from what an earlier process has kept of it if there is such.

    Args:
        core: `openvino.Core`.
        path: the `.xml`, with its `.bin` beside it.
        options: of the compilation.

    Raises:
        RuntimeError: OpenVINO does not take the file.
    """
    root = _root()
    if root is None:
        return core.compile_model(core.read_model(path), "CPU", dict(options))
    kept = root / _key(path, options)
    if kept.is_dir():
        with suppress(OSError):
            os.utime(kept)  # it was of use: the ones of longest ago go
        return core.compile_model(path, "CPU", {**options, "CACHE_DIR": str(kept)})
    # Beside its place, and there as a whole or not at all.
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
    try:
        compiled = core.compile_model(path, "CPU", {**options, "CACHE_DIR": str(new)})
        with suppress(OSError):  # another process was quicker
            whole = sum(file.stat().st_size for file in new.iterdir())
            if whole >= path.with_suffix(".bin").stat().st_size:  # else the disk is full
                new.rename(kept)
                _prune(root)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return compiled


def _root() -> Path | None:
    """The folder of kept graphs, made if needed; None where nothing is to be kept or can be."""
    given = os.environ.get(VARIABLE)
    if given == "":
        return None
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    root = Path(given or Path(caches, "covidlit", "compiled")).expanduser()
    with suppress(OSError, RuntimeError):  # no home, or one that cannot be written
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A graph of somebody else's would be trusted.
        if root.stat().st_uid == os.getuid() and os.access(root, os.W_OK):
            return root
    return None


def _key(path: Path, options: Mapping[str, Any]) -> str:
    files = []
    for file in (path, path.with_suffix(".bin")):
        at = file.stat()
        files.append([at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns])
    depends = [str(path.resolve()), files, dict(options), version("openvino"), _processor()]
    return fingerprint(depends)


@cache
def _processor() -> str:
    """What the system says of the processor and of what it can do."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
        told = [line for line in lines if line.startswith(("model", "flags", "cpu family"))]
        return "\n".join(told)
    return " ".join(os.uname())


def _prune(root: Path) -> None:
    kept = [one for one in root.iterdir() if one.is_dir() and not one.name.startswith(".")]
    kept.sort(key=lambda one: one.stat().st_mtime, reverse=True)
    for one in kept[MOST:]:
        shutil.rmtree(one, ignore_errors=True)
