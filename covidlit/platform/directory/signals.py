"""Roles of the directory's people, made at each log-in."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from covidlit.platform.accounts.models import User
from covidlit.platform.directory.groups import apply_groups
from covidlit.platform.directory.kinds import Gone, Unreachable
from covidlit.platform.directory.middleware import CHECKED, directory_of


@receiver(user_logged_in)
def take_groups(sender: Any, user: User, request: HttpRequest, **_: Any) -> None:
    """Give a person of the directory the roles of his groups, and note when."""
    directory = directory_of(user)
    if directory is None:
        return
    with suppress(Gone, Unreachable):  # then the first page asks again
        apply_groups(user, directory.groups_now(user, request))
        request.session[CHECKED] = time.time()
