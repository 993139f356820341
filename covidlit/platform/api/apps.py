"""The app's name for Django."""

from __future__ import annotations

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """See `covidlit.platform.api`."""

    name = "covidlit.platform.api"
    label = "api"
