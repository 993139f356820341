"""Brings what the platform's pages need from npm into the wheel, and into an editable install.

`frontend/` says what: its lock file names every package with its hash. Without npm, or without a
network, covidlit is built all the same, and the pages say what is not installed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FRONTEND = "frontend"
VENDOR = "covidlit/platform/static/vendor"
BUNDLE = "niivue.js"
_SECONDS = 300
_CI = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]


class FrontendBuildHook(BuildHookInterface):
    """Bundles the packages of `frontend/`, unless that was done of the same ones before."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before each build: of the source, of a wheel, of an editable install."""
        source, vendor = Path(self.root, FRONTEND), Path(self.root, VENDOR)
        stamp = stamp_of(source)
        if is_bundled(vendor, stamp):
            return
        problem = bundle(source, vendor, stamp)
        if problem:
            kept = ", an older bundle stays" if (vendor / BUNDLE).is_file() else ""
            self.app.display_warning(f"covidlit is built without the volume view{kept}: {problem}")


def stamp_of(source: Path) -> str:
    """What a bundle is made of, as its first line says it."""
    digest = hashlib.sha256()
    for path in sorted(path for path in source.rglob("*") if "node_modules" not in path.parts):
        if path.is_file():
            digest.update(path.relative_to(source).as_posix().encode() + b"\0" + path.read_bytes())
    return f"Bundled of {FRONTEND}/ {digest.hexdigest()[:16]}."


def is_bundled(vendor: Path, stamp: str) -> bool:
    """Whether the bundle that is there is of these packages."""
    path = vendor / BUNDLE
    if not path.is_file():
        return False
    with path.open(encoding="utf-8") as file:
        return stamp in file.readline()


def bundle(source: Path, vendor: Path, stamp: str) -> str:
    """Fetch the packages and bundle them; what went wrong, in a line, or an empty string.

    It is done in a copy: nothing is left in the folder of the source.
    """
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return "npm, which brings NiiVue, is not installed."
    with tempfile.TemporaryDirectory(prefix="covidlit_frontend_") as folder:
        place = Path(folder, FRONTEND)
        shutil.copytree(source, place, ignore=shutil.ignore_patterns("node_modules"))
        for command in ([npm, *_CI], [node, "build.mjs", str(vendor.absolute()), stamp]):
            try:
                done = subprocess.run(
                    command, cwd=place, capture_output=True, text=True, timeout=_SECONDS
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                return f"{error}"
            if done.returncode:
                said = (done.stderr or done.stdout).strip().splitlines()
                return f"{' '.join(command[:2])} failed: {said[0] if said else done.returncode}"
    return ""
