"""Requests to a platform by HTTP: tried again after a break; what it refuses is an error of ours.

By `requests`, which wandb brings along: proxies and certificates are then as elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import requests

from covidlit.errors import CovidlitError
from covidlit.files import atomic_path
from covidlit.version import __version__

ROOT = "/api/v1"
_PASSING = frozenset((429, 502, 503, 504))
"""Statuses that pass by themselves: too many requests, a proxy or database being started."""
_LONGEST_WAIT = 60.0
TRIES = 8
"""Of a request, from 0.5 s apart: a platform that is started again is back within this minute."""
_FIRST_TRIES = 5
"""Before the platform has answered once: the address may be wrong, which no waiting mends."""


class PlatformError(CovidlitError):
    """Something that a platform refused, or that it could not be reached.

    Args:
        what, where, fix: see `CovidlitError`.
        status: of HTTP; None: there was no answer.
        size: of a piece that does not begin where its file ends: bytes that have come.
    """

    status: int | None = None
    size: int | None = None

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        fix: str | None = None,
        status: int | None = None,
        size: int | None = None,
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.status, self.size = status, size


class Connection:
    """Calls operations of a platform's API.

    Args:
        address: of the platform, such as "https://ct.example.org".
        token: of the page Tokens.
        timeout: seconds without a byte after which a request is given up.
        tries: of a request whose connection breaks; fewer before the platform has answered once.
        wait: seconds before the second try; twice as long before each further one.

    Raises:
        PlatformError: the address is none.
    """

    def __init__(
        self, address: str, token: str, timeout: float = 60.0, tries: int = TRIES, wait: float = 0.5
    ) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise PlatformError(
                f"{address!r} is no address of a platform.", where="address",
                fix="write it as in the browser, such as https://ct.example.org.",
            )  # fmt: skip
        if not token or not token.isascii() or not token.isprintable():
            raise PlatformError(
                "it is empty or no token.", where="token", fix="make one on the page Tokens."
            )
        self.address = address.rstrip("/")
        self._timeout, self._tries, self._wait = timeout, max(1, tries), wait
        self._has_answered = False
        self._session = requests.Session()
        self._session.headers.update(
            {"Authorization": f"Bearer {token}", "User-Agent": f"covidlit/{__version__}"}
        )
        # A .netrc would take the place of the token.
        self._session.auth = _leave_as_it_is

    def get(self, path: str, **query: Any) -> Any:
        """What an operation answers as JSON; of the query what is not None is sent."""
        return self.call("GET", path, query).json()

    def post(self, path: str, body: Any = None, again: bool = True, **query: Any) -> Any:
        """What an operation answers as JSON.

        Args:
            path: below `/api/v1`.
            body: sent as JSON.
            again: whether it is as good to have been asked twice.
            query: of which what is not None is sent.
        """
        return self.call("POST", path, query, json=body, again=again).json()

    def pages(self, path: str, cursor: str, **query: Any) -> Iterator[dict[str, Any]]:
        """The rows of a list, fetched a page at a time as they are asked for.

        Args:
            path: below `/api/v1`.
            cursor: parameter that takes `next`: "after" or "before".
            query: further parameters.
        """
        following: str | None = None
        while True:
            page = self.get(path, **{**query, cursor: following})
            yield from page["rows"]
            following = page["next"]
            if following is None:
                return

    def call(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        *,
        json: Any = None,
        data: bytes | dict[str, str] | None = None,
        files: Sequence[tuple[str, tuple[str, bytes]]] | None = None,
        again: bool = True,
        stream: bool = False,
    ) -> requests.Response:
        """Call an operation.

        Args:
            method: of HTTP.
            path: below `/api/v1`.
            query: of which what is not None is sent.
            json: body, sent as such.
            data: body; or the fields of a form.
            files: field, name and content of a form's files.
            again: whether it is as good to have been asked twice.
            stream: leave the body of the answer where it is.

        Raises:
            PlatformError: it was refused, or the platform could not be reached.
        """
        sent = {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in (query or {}).items()
            if value is not None
        }
        wait = self._wait
        tries = self._tries if self._has_answered else min(self._tries, _FIRST_TRIES)
        for left in range(tries - 1, -1, -1):
            try:
                answer = self._session.request(
                    method, self.address + ROOT + path, params=sent, json=json, data=data,
                    files=files, timeout=self._timeout, allow_redirects=False, stream=stream,
                )  # fmt: skip
            except requests.RequestException as error:
                # Where the connection was not even made, nothing can have been done.
                lost = isinstance(error, requests.ConnectionError | requests.Timeout)
                made = not isinstance(error, requests.exceptions.ConnectTimeout)
                if left and lost and (again or not made):
                    time.sleep(wait)
                    wait = min(2 * wait, _LONGEST_WAIT)
                    continue
                raise PlatformError(
                    f"the platform cannot be reached ({type(error).__name__}).",
                    where=self.address,
                    fix="check the address and the network, and whether it is being served.",
                ) from error
            self._has_answered = True
            if left and again and answer.status_code in _PASSING:
                time.sleep(_seconds(answer, wait))
                wait = min(2 * wait, _LONGEST_WAIT)
                continue
            return _checked(answer, self.address)
        raise AssertionError("unreachable")

    def save(self, path: str, target: str | Path, **query: Any) -> Path:
        """Write what an operation answers to a file, whole or not at all.

        Args:
            path: below `/api/v1`.
            target: the file.
            query: of which what is not None is sent.

        Raises:
            PlatformError: it was refused, or the connection broke.
        """
        place = Path(target)
        with self.call("GET", path, query, stream=True) as answer, atomic_path(place) as temporary:
            try:
                with temporary.open("wb") as file:
                    for chunk in answer.iter_content(1 << 20):
                        file.write(chunk)
            except requests.RequestException as error:
                raise PlatformError(
                    f"the connection broke ({type(error).__name__}).", where=place,
                    fix="save it again.",
                ) from error  # fmt: skip
        return place

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()


def _leave_as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _seconds(answer: requests.Response, otherwise: float) -> float:
    said = answer.headers.get("Retry-After", "")
    return min(float(said), _LONGEST_WAIT) if said.isdecimal() else otherwise


def _checked(answer: requests.Response, address: str) -> requests.Response:
    """The answer, unless it is a refusal or does not come from a platform."""
    if answer.ok and not 300 <= answer.status_code < 400:
        return answer
    if 300 <= answer.status_code < 400:
        there = answer.headers.get("Location", "elsewhere")
        raise PlatformError(
            f"it leads to {there}, and a token is not sent elsewhere.", where=address,
            fix="give the address that it leads to, most often https:// instead of http://.",
            status=answer.status_code,
        )  # fmt: skip
    try:
        problem = answer.json()
        raise PlatformError(
            str(problem["what"]), where=problem["where"], fix=problem["fix"],
            status=answer.status_code, size=problem.get("size"),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise PlatformError(
            f"it answered {answer.status_code} ({_phrase(answer.status_code)}), not as a platform "
            "does.",
            where=address,
            fix="check the address; a proxy before the platform may refuse what is sent.",
            status=answer.status_code,
        ) from error


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown"
