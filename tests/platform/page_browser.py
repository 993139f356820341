"""Pages of the tests' own platform in the chromium of the machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.servers.basehttp import WSGIServer
from django.db import connections
from django.test import Client
from django.test.testcases import LiveServerThread, QuietWSGIRequestHandler

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")


class _Server(LiveServerThread):
    """One request at a time, since all are in the transaction of the test."""

    def _create_server(self, connections_override: object = None) -> WSGIServer:
        place = (self.host, self.port)
        return WSGIServer(place, QuietWSGIRequestHandler, allow_reuse_address=False)


@pytest.fixture
def address() -> Iterator[str]:
    """Where the pages are, which see what the test has written."""
    # The database is asked when Playwright's event loop is over: within it, the same thread has
    # another connection.
    own = connections["default"]
    own.inc_thread_sharing()
    server = _Server("localhost", lambda app: app, connections_override={"default": own})
    server.daemon = True
    server.start()
    server.is_ready.wait()
    assert server.error is None
    yield f"http://localhost:{server.port}"
    server.terminate()
    own.dec_thread_sharing()


def context_of(browser: Any, client: Client, address: str, **options: Any) -> Any:
    """A browser's context in which the person of a client is logged in."""
    context = browser.new_context(**options)
    cookie = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": cookie, "url": address}])
    return context
