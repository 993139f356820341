"""How allauth makes accounts here: nobody makes one for himself."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class PlatformAdapter(DefaultAccountAdapter):
    """Accounts come from an administrator, or from the hospital's directory."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never."""
        return False
