"""HTTP to an archive of the settings, and to nowhere else.

`requests` and not dicomweb-client, which is maintained, but follows a server to other addresses,
takes answers of any size into memory, writes addresses with patients' numbers into its log, and
encodes objects anew instead of sending the bytes that were confirmed.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple

import requests
import urllib3
from requests.auth import HTTPBasicAuth

from covidlit.platform.pacs.errors import Refused, Unreachable
from covidlit.platform.pacs.settings import DicomwebArchive

DICOM_JSON = "application/dicom+json"
MOST_JSON = 32 << 20
"""Bytes of an answer that is read as a whole."""

_CHUNK = 1 << 18
_CONNECT_SECONDS = 10.0
_LATER = (408, 425, 429, 502, 503, 504)


class Answer(NamedTuple):
    """What came back.

    Args:
        status: of HTTP.
        kind: media type with its parameters.
        body: at most as long as was allowed.
    """

    status: int
    kind: str
    body: bytes


class Web:
    """A connection to an archive, kept open between requests.

    Args:
        archive: of the settings.
        longest_seconds: that all requests together may take; afterwards it counts as gone.

    Raises:
        ConfigError: its password, token or certificates cannot be read.
    """

    def __init__(self, archive: DicomwebArchive, longest_seconds: float = inf) -> None:
        self._archive = archive
        self._ends = monotonic() + longest_seconds
        self._session = requests.Session()
        self._session.trust_env = False  # neither proxies nor passwords of the machine's account
        self._session.verify = archive.certificates() or True
        if archive.user:
            # As bytes: of text requests takes what fits Latin-1 alone.
            user, password = (each.encode() for each in (archive.user, archive.password()))
            self._session.auth = HTTPBasicAuth(user, password)
        elif token := archive.token():
            self._session.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Web:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        also: tuple[int, ...] = (),
    ) -> Answer:
        """Send a request and read its answer whole.

        Args:
            method: of HTTP.
            path: below the archive's address.
            query: of the address.
            headers: further ones.
            body: of the request.
            also: statuses beside those of success whose answer is wanted.

        Raises:
            Unreachable: nobody answers, or the archive asks to wait.
            Refused: another status, or an answer that is too long.
        """
        with self._answered(method, path, query, headers, body, also) as answer:
            content = b"".join(self._limited(answer, MOST_JSON))
            return Answer(answer.status_code, answer.headers.get("Content-Type", ""), content)

    def download(self, path: str, accept: str, target: Path, most_bytes: int) -> str:
        """Write an answer into a file; its media type with parameters.

        Raises:
            Unreachable, Refused: see `ask`; also where it is longer than `most_bytes`.
        """
        headers = {"Accept": accept}
        with (
            self._answered("GET", path, None, headers, None, ()) as answer,
            target.open("wb") as file,
        ):
            for piece in self._limited(answer, most_bytes):
                file.write(piece)
            return str(answer.headers.get("Content-Type", ""))

    def json(self, path: str, query: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """What a search finds, in DICOM JSON; empty where it finds nothing.

        Raises:
            Unreachable, Refused: see `ask`; also where it is no list of data sets in JSON.
        """
        answer = self.ask("GET", path, query=query, headers={"Accept": DICOM_JSON})
        if answer.status == requests.codes.no_content:
            return []
        found = read_json(answer.body)
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise Refused(
                "it answered a search with something else than a list in DICOM JSON.",
                where=self._where, fix=_LOOK_AT_URL,
            )  # fmt: skip
        return found

    @contextmanager
    def _answered(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        body: bytes | None,
        also: tuple[int, ...],
    ) -> Iterator[requests.Response]:
        # What requests says of its errors holds patients' numbers: it is not passed on.
        where = self._where
        try:
            with self._session.request(
                method, f"{self._archive.url}/{path}", params=query, headers=headers, data=body,
                timeout=(self._left(_CONNECT_SECONDS), self._left(self._archive.timeout_seconds)),
                allow_redirects=False, stream=True,
            ) as answer:  # fmt: skip
                _check(answer.status_code, also, where)
                yield answer
        except (requests.exceptions.SSLError, ssl.SSLError):
            raise Refused(
                "its certificate is not trusted, or it does not speak TLS.", where=where,
                fix="name the certificate of the hospital in ca_file.",
            ) from None  # fmt: skip
        except requests.Timeout:
            raise self._too_late() from None
        except (
            requests.exceptions.ChunkedEncodingError,
            requests.ConnectionError,
            urllib3.exceptions.HTTPError,
        ):
            raise Unreachable(
                "it cannot be reached, or the connection broke off.", where=where,
                fix="see whether it runs and its address is right.",
            ) from None  # fmt: skip
        except OSError as error:
            if isinstance(error, requests.RequestException):
                raise Refused(
                    "its answer breaks the rules of HTTP.", where=where, fix=_LOOK_AT_URL
                ) from None
            raise  # the machine's: a certificate that is not there, a disk that is full

    def _limited(self, answer: requests.Response, most_bytes: int) -> Iterator[bytes]:
        total = 0
        for piece in answer.iter_content(_CHUNK):
            self._left(inf)
            total += len(piece)
            if total > most_bytes:
                raise Refused(
                    f"its answer is longer than {most_bytes / 2**20:,.0f} MiB.", where=self._where,
                    fix="fetch less at a time, or see whether it is the archive that answers.",
                )  # fmt: skip
            yield piece

    def _left(self, seconds: float) -> float:
        """How much is left of a time, or of that of all requests where it is less."""
        left = self._ends - monotonic()
        if left <= 0:
            raise self._too_late()
        return min(seconds, left)

    def _too_late(self) -> Unreachable:
        return Unreachable(
            "it did not answer in time.", where=self._where, fix="see whether it runs."
        )

    @property
    def _where(self) -> str:
        return f"archive {self._archive.name}"


_LOOK_AT_URL = "see whether url in platform.toml is that of its DICOMweb services."


def read_json(body: bytes) -> Any:
    """What a body in JSON holds; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _check(status: int, also: tuple[int, ...], where: str) -> None:
    if status in also or 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise Refused(
            f"it leads to another address ({status}), which is not followed.", where=where,
            fix="write the address that it leads to into platform.toml, if that is the archive.",
        )  # fmt: skip
    if status in (401, 403):
        raise Refused(
            f"it does not let the platform in ({status}).", where=where,
            fix="see user, password and token in platform.toml, and what they may do there.",
        )  # fmt: skip
    if status in _LATER:
        raise Unreachable(f"it is busy or not ready ({status}).", where=where, fix="wait.")
    raise Refused(f"it answered with the status {status}.", where=where, fix=_LOOK_AT_URL)
