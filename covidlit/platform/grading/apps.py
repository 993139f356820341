"""The app's name for Django."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class GradingConfig(AppConfig):
    """See `covidlit.platform.grading`."""

    name = "covidlit.platform.grading"
    label = "grading"

    def ready(self) -> None:
        """Let turns follow grades and labellings."""
        import_module("covidlit.platform.grading.turns")
