"""How allauth makes accounts here: nobody makes one for himself."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.core.exceptions import ValidationError
from django.http import HttpRequest


class PlatformAdapter(DefaultAccountAdapter):
    """Accounts come from an administrator, or from the hospital's directory."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Where a log-in leads too: whoever had to choose a password wants to go on from there."""
        return self.get_login_redirect_url(request)

    def clean_password(self, password: str, user: Any = None) -> str:
        """A password that is chosen anew is another one than before.

        Raises:
            ValidationError: it is too weak, or the old one.
        """
        found: str = super().clean_password(password, user)
        if user is not None and user.pk is not None and user.check_password(found):
            raise ValidationError("Choose another password than the one before.")
        return found
