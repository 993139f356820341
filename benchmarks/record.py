"""Write what a benchmark measured, with the environment it was measured in."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from covidlit.files import write_json

RESULTS = Path(__file__).parent / "results"
KEYS = ("figure", "value", "unit", "target", "peer", "command")
_NOT_RESULTS = (
    ":(top)",
    ":(top,exclude,glob)benchmarks/results/**",
    ":(top,exclude,glob)experiments/**/*.json",
)
PACKAGES = (
    "covidlit", "numpy", "torch", "monai", "torchio", "pydicom", "python-gdcm", "SimpleITK",
    "onnxruntime", "openvino", "nncf",
)  # fmt: skip


def write_results(name: str, figures: list[dict[str, Any]]) -> Path:
    """Write `benchmarks/results/<name>.json` and return its path; a run overwrites it.

    Args:
        name: the benchmark.
        figures: each with the keys figure, value (a number), unit, target (such as ">= 2"), peer
            and command; None where a key does not apply.

    Raises:
        ValueError: a key is missing or unknown, or a value is not a number.
    """
    for figure in figures:
        if sorted(figure) != sorted(KEYS):
            raise ValueError(f"a figure needs exactly the keys {KEYS}, got {sorted(figure)}")
        if isinstance(figure["value"], bool) or not isinstance(figure["value"], int | float):
            raise ValueError(f"{figure['figure']}: the value must be a number")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    return write_json(path, {"environment": environment(), "figures": figures})


def environment() -> dict[str, Any]:
    """Cores, versions and commit that a figure was measured with."""
    versions: dict[str, str] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": versions,
        "commit": commit_of(Path(__file__).parent),
    }


def commit_of(folder: Path) -> str:
    """The commit of a working tree, with "-dirty" where a tracked file differs from it.

    Results do not count: several benchmarks in a row change each other's, and none reads them.

    Args:
        folder: inside the working tree.
    """
    commit = _git(folder, "describe", "--always", "--abbrev=12", "--exclude=*")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", *_NOT_RESULTS)
    return f"{commit}{'-dirty' if changed else ''}" if commit else "unknown"


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=folder)
    return done.stdout.strip()
