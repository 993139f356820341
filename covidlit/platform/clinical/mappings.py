"""Which mappings of hospitals' own tables a platform knows."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from covidlit.errors import ConfigError
from covidlit.settings.tree import config_dir

FOLDER = "mappings"
"""In the folder of a platform: mappings of its own (`*.yaml`), put there by whoever has it. None
comes in by a page, since a mapping names further files."""


def known_mappings() -> list[str]:
    """Names of the platform's own mappings, then of those of covidlit."""
    return [*sorted(_own()), *sorted({*_shipped()} - {*_own()})]


def mapping_of(name: str) -> Path | None:
    """The file of a mapping; None for a table of contract 9.

    Raises:
        ConfigError: there is none of this name.
    """
    if not name:
        return None
    found = _own().get(name) or _shipped().get(name)
    if found is None:
        raise ConfigError(
            f"there is no mapping {name!r}.", where="mapping",
            fix=f"choose of {', '.join(known_mappings())}, or have one put into the folder "
            f"{FOLDER} of the platform.",
        )  # fmt: skip
    return found


def _own() -> dict[str, Path]:
    return {path.stem: path for path in (settings.FOLDER.root / FOLDER).glob("*.yaml")}


def _shipped() -> dict[str, Path]:
    return {path.stem: path for path in (config_dir() / "clinical").glob("*.yaml")}
