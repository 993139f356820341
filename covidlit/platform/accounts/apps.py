"""The app's name for Django."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """See `covidlit.platform.accounts`."""

    name = "covidlit.platform.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Let log-ins be recorded."""
        import_module("covidlit.platform.accounts.sessions")
