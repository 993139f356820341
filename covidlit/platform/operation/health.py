"""Whether the platform works, for whoever watches it; it says nothing of patients."""

from __future__ import annotations

import shutil
from typing import NoReturn

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from covidlit.platform.operation.alive import LONGEST_SILENCE, silence

_LEAST_FREE = 1 << 30


@require_GET
@login_not_required
def health(request: HttpRequest) -> JsonResponse:
    """200 where the database answers, workers run and there is room on the disk, else 503."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        database = True
    except DatabaseError:
        database = False
    room = shutil.disk_usage(settings.FOLDER.root).free > _LEAST_FREE
    found = {"database": database, "disk": room, "workers": silence() < LONGEST_SILENCE}
    return JsonResponse(found, status=200 if all(found.values()) else 503)


health.is_public = True


@login_not_required
def not_there(request: HttpRequest, *_: str) -> NoReturn:
    """An address of the packages that this platform does without."""
    raise Http404


not_there.is_public = True
