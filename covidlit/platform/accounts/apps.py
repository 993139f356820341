"""The app's name for Django."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """See `covidlit.platform.accounts`."""

    name = "covidlit.platform.accounts"
    label = "accounts"
