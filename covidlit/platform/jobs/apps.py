"""The app's name for Django."""

from __future__ import annotations

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """See `covidlit.platform.jobs`."""

    name = "covidlit.platform.jobs"
    label = "jobs"
