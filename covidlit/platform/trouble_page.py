"""The answer where something failed that nobody caught."""

from __future__ import annotations

import logging
import sys

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from covidlit.platform.api.problems import answer
from covidlit.platform.trouble import trouble_of
from covidlit.version import __version__

log = logging.getLogger(__name__)


def say_trouble(request: HttpRequest) -> HttpResponse:
    """Say what the machine lacks; it asks the database nothing, which may be gone."""
    status, said = trouble_of(sys.exc_info()[1])
    headers = {"Retry-After": "5"} if status == 503 else {}
    if request.path.startswith("/api/"):
        return answer(status, said, headers)
    shown = {"said": said, "platform_title": settings.PLATFORM_TITLE, "version": __version__}
    return HttpResponse(render_to_string("trouble.html", shown), status=status, headers=headers)
