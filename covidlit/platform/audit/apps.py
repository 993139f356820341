"""The app's name for Django."""

from __future__ import annotations

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """See `covidlit.platform.audit`."""

    name = "covidlit.platform.audit"
    label = "audit"
