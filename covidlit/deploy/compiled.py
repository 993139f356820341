"""Graphs as OpenVINO compiled them, kept for the next process.

Compiling an exported network and bringing its weights into the order that the processor wants takes
a second or two, and gives the same each time. What was compiled is kept in a folder of the user's
own; its name is a hash of all that it depends on, so that another file, runtime, processor or
option never meets it. Kept graphs are as large as the networks: the last few stay. OpenVINO would
compute with a damaged one without a word (2026.4.1), so that its hash is kept and compared.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from covidlit.deploy.file_hash import file_hash
from covidlit.deploy.kept import kept_folder, outdated, signature
from covidlit.files import fingerprint

MOST = 6
"""Graphs that are kept."""

HASHES = "hashes.json"
"""Of the files of a kept graph, beside them."""

DEAD = 3600.0
"""Seconds after which a graph that was never finished is a killed process's."""


def compile_kept(core: Any, path: Path, options: Mapping[str, Any]) -> Any:
    """A graph compiled for the CPU, from what an earlier process has kept of it if there is such.

    Args:
        core: `openvino.Core`.
        path: the `.xml`, with its `.bin` beside it.
        options: of the compilation.

    Raises:
        RuntimeError: OpenVINO does not take the file.
    """
    root = kept_folder("graphs")
    if root is None:
        return core.compile_model(core.read_model(path), "CPU", dict(options))
    kept = root / _key(path, options)
    if _is_whole(kept):
        with suppress(OSError):
            os.utime(kept)  # it was of use: the ones of longest ago go
        return core.compile_model(path, "CPU", {**options, "CACHE_DIR": str(kept)})
    shutil.rmtree(kept, ignore_errors=True)  # damaged, if there is one
    # Beside its place, and there as a whole or not at all.
    try:
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
    except OSError:  # the disk is full
        return core.compile_model(core.read_model(path), "CPU", dict(options))
    try:
        compiled = core.compile_model(path, "CPU", {**options, "CACHE_DIR": str(new)})
        with suppress(OSError):  # another process was quicker
            files = list(new.iterdir())
            whole = sum(file.stat().st_size for file in files)
            if whole >= path.with_suffix(".bin").stat().st_size:  # else the disk is full
                known = {file.name: file_hash(file) for file in files}
                (new / HASHES).write_text(json.dumps(known), encoding="utf-8")
                new.rename(kept)
                for old in (*outdated(root, MOST), *_never_finished(root)):
                    shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return compiled


def _is_whole(kept: Path) -> bool:
    with suppress(OSError, ValueError, AttributeError):
        known = json.loads((kept / HASHES).read_text(encoding="utf-8"))
        return all(file_hash(kept / name) == one for name, one in known.items())
    return False


def _never_finished(root: Path) -> list[Path]:
    return [one for one in root.glob(".new-*") if time.time() - one.stat().st_mtime > DEAD]


def _key(path: Path, options: Mapping[str, Any]) -> str:
    files = [signature(file) for file in (path, path.with_suffix(".bin"))]
    depends = [str(path.resolve()), files, dict(options), version("openvino"), _processor()]
    return fingerprint(depends)


@cache
def _processor() -> str:
    """What the system says of the processor and of what it can do."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
        told = [line for line in lines if line.startswith(("model", "flags", "cpu family"))]
        return "\n".join(told)
    return " ".join(platform.uname())
