"""The app's name for Django."""

from __future__ import annotations

from django.apps import AppConfig


class CorrectingConfig(AppConfig):
    """See `covidlit.platform.correcting`."""

    name = "covidlit.platform.correcting"
    label = "correcting"
