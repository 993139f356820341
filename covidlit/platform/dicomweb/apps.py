"""The app's name for Django."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class DicomwebConfig(AppConfig):
    """See `covidlit.platform.dicomweb`."""

    name = "covidlit.platform.dicomweb"
    label = "dicomweb"

    def ready(self) -> None:
        """Look into new scans and labellings as they come."""
        import_module("covidlit.platform.dicomweb.signals")
