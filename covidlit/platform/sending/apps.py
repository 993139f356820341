"""The app's name for Django."""

from __future__ import annotations

from django.apps import AppConfig


class SendingConfig(AppConfig):
    """See `covidlit.platform.sending`."""

    name = "covidlit.platform.sending"
    label = "sending"
