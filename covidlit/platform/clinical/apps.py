"""The app's name for Django."""

from __future__ import annotations

from django.apps import AppConfig


class ClinicalConfig(AppConfig):
    """See `covidlit.platform.clinical`."""

    name = "covidlit.platform.clinical"
    label = "clinical"
