"""The app's name for Django."""

from __future__ import annotations

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """See `covidlit.platform.registry`."""

    name = "covidlit.platform.registry"
    label = "registry"
