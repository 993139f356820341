"""What every page shows."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from covidlit.version import __version__


def platform(request: HttpRequest) -> dict[str, Any]:
    """The platform's title, covidlit's version, and what the person may do anywhere."""
    user = getattr(request, "user", None)
    rights = user.rights_anywhere() if user is not None and user.is_authenticated else frozenset()
    return {
        "platform_title": settings.PLATFORM_TITLE,
        "version": __version__,
        "directory_log_in": settings.DIRECTORY_LOG_IN,
        "rights": {right.name.lower() for right in rights},
    }
