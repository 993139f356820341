"""The sign of life of `covidlit platform serve`, which watches over pages and workers."""

from __future__ import annotations

import time

from django.conf import settings

_FILE = ".alive"
LONGEST_SILENCE = 30.0
"""Seconds after which nobody watches over the workers any more."""


def say_alive() -> None:
    """Say that pages and workers were looked after now."""
    (settings.FOLDER.root / _FILE).touch()


def silence() -> float:
    """Seconds since it was said last; infinite where it never was."""
    try:
        return max(0.0, time.time() - (settings.FOLDER.root / _FILE).stat().st_mtime)
    except FileNotFoundError:
        return float("inf")
