"""A line of the log and a count for each request, which name its page and not what it showed."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from covidlit.platform.counted import REQUESTS
from covidlit.platform.logs import request_id

log = logging.getLogger(__name__)

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Told:
    """Gives each request a number, which the answer has too, and says how it went."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        number = secrets.token_hex(8)
        token = request_id.set(number)
        started = time.perf_counter()
        try:
            response = self._get_response(request)
            self._tell(request, response, time.perf_counter() - started)
        finally:
            request_id.reset(token)
        response["X-Request-ID"] = number
        return response

    def _tell(self, request: HttpRequest, response: HttpResponse, seconds: float) -> None:
        match = request.resolver_match
        route = f"/{match.route}" if match else "(no page)"
        method = request.method if request.method in _METHODS else "other"
        REQUESTS.labels(method, route, f"{response.status_code // 100}xx").observe(seconds)
        # Not `request.user.pk` by itself: that would ask the database for whoever only asks.
        user = getattr(request, "_cached_user", None)
        log.info(
            "answered",
            extra={
                "user": user.pk if user is not None and user.pk is not None else 0,
                "method": method, "route": route, "status": response.status_code,
                "seconds": round(seconds, 4),
            },
        )  # fmt: skip
