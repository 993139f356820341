"""The app's name for Django."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class DirectoryConfig(AppConfig):
    """See `covidlit.platform.directory`."""

    name = "covidlit.platform.directory"
    label = "directory"

    def ready(self) -> None:
        """Listen to log-ins."""
        import_module("covidlit.platform.directory.signals")
