"""The app's name for Django."""

from __future__ import annotations

from django.apps import AppConfig


class IntakeConfig(AppConfig):
    """See `covidlit.platform.intake`."""

    name = "covidlit.platform.intake"
    label = "intake"
