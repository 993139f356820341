"""The app's name for Django."""

from __future__ import annotations

from django.apps import AppConfig


class ExportingConfig(AppConfig):
    """See `covidlit.platform.exporting`."""

    name = "covidlit.platform.exporting"
    label = "exporting"
