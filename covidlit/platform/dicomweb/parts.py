"""Bodies of multipart/related, written and read part by part.

Source: RFC 2046, section 5.1; RFC 2387; DICOM PS3.18, section 8.6.1.2.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from email.message import Message
from email.parser import BytesParser

from django.http import StreamingHttpResponse

from covidlit.errors import CovidlitError

MOST_HEAD = 8 << 10
"""Bytes of the headers of a part, and of what stands before the first one."""

_CHUNK = 256 << 10
_MOST_BOUNDARY = 200  # RFC 2046 has 70; Orthanc sends 73


class BrokenBody(CovidlitError):  # noqa: N818 (a refusal, not a fault)
    """A body that is no multipart, or ends before its last boundary."""

    def __init__(self, what: str) -> None:
        super().__init__(
            what, where="the body",
            fix="send it again, whole: multipart/related with the boundary of Content-Type.",
        )  # fmt: skip


def answered_in_parts(kind: str, parts: Iterable[tuple[str, bytes]]) -> StreamingHttpResponse:
    """An answer in parts, each made when the one before is sent.

    Args:
        kind: media type of the parts.
        parts: headers of each behind its media type, as "; transfer-syntax=...", and its content.
    """
    boundary = secrets.token_hex(24)

    def written() -> Iterator[bytes]:
        for more, content in parts:
            head = f"\r\n--{boundary}\r\nContent-Type: {kind}{more}\r\n"
            yield f"{head}Content-Length: {len(content)}\r\n\r\n".encode("ascii")
            yield content
        yield f"\r\n--{boundary}--\r\n".encode("ascii")

    return StreamingHttpResponse(
        written(), content_type=f'multipart/related; type="{kind}"; boundary={boundary}'
    )


def boundary_of(content_type: str) -> bytes:
    """The boundary of a body, by its media type.

    Raises:
        BrokenBody: it has none, or one that is none.
    """
    header = Message()
    header["Content-Type"] = content_type.replace("\r", " ").replace("\n", " ")
    try:
        found = header.get_boundary()
    except (ValueError, LookupError):
        found = None
    if not found or len(found) > _MOST_BOUNDARY or not found.isascii() or not found.isprintable():
        raise BrokenBody("its Content-Type names no boundary.")
    return found.encode("ascii")


class Parts:
    """The parts of a body, one after the other, in bounded memory.

    Args:
        read: gives at most so many bytes of the body, and none at its end.
        boundary: between the parts.
    """

    def __init__(self, read: Callable[[int], bytes], boundary: bytes) -> None:
        self._read = read
        self._mark = b"\r\n--" + boundary
        self._held = b"\r\n"  # the first boundary may be the first line
        self._ended = False

    def __iter__(self) -> Iterator[tuple[Message, Iterator[bytes]]]:
        """Headers and content of each part; what is not read of a content is passed over.

        Raises:
            BrokenBody: it ends before its last boundary, or a head is too long.
        """
        self._until_mark(MOST_HEAD)
        while not self._is_last():
            head = self._head()
            content = self._content()
            yield head, content
            for _ in content:
                pass
        while self._more():  # what stands behind the last boundary
            self._held = b""

    def _more(self) -> bool:
        piece = b"" if self._ended else self._read(_CHUNK)
        self._ended = self._ended or not piece
        self._held += piece
        return bool(piece)

    def _until_mark(self, most: int) -> None:
        """Pass over what stands before the first boundary."""
        while (place := self._held.find(self._mark)) < 0:
            if len(self._held) > most + _CHUNK:
                raise BrokenBody("its first boundary does not come.")
            self._need("it has no boundary.")
        self._held = self._held[place + len(self._mark) :]

    def _is_last(self) -> bool:
        """Whether the boundary that was passed ends the body; else its line is passed over."""
        while b"\r\n" not in self._held and not self._held.startswith(b"--"):
            if len(self._held) > MOST_HEAD:
                raise BrokenBody("the line of a boundary is too long.")
            self._need("it breaks off behind a boundary.")
        if self._held.startswith(b"--"):
            return True
        line, _, self._held = self._held.partition(b"\r\n")
        if line.strip(b" \t"):
            raise BrokenBody("a boundary is followed by something else than a part.")
        return False

    def _head(self) -> Message:
        self._held = b"\r\n" + self._held  # a part may be without headers
        while (place := self._held.find(b"\r\n\r\n")) < 0 or place > MOST_HEAD:
            if len(self._held) > MOST_HEAD:
                raise BrokenBody("the headers of a part are too long.")
            self._need("it breaks off in the headers of a part.")
        head, self._held = self._held[2 : place + 4], self._held[place + 4 :]
        return BytesParser().parsebytes(head, headersonly=True)

    def _content(self) -> Iterator[bytes]:
        while (place := self._held.find(self._mark)) < 0:
            ready = max(0, len(self._held) - len(self._mark) + 1)
            if ready:
                yield self._held[:ready]
                self._held = self._held[ready:]
            self._need("it breaks off in a part.")
        if place:
            yield self._held[:place]
        self._held = self._held[place + len(self._mark) :]

    def _need(self, what: str) -> None:
        if not self._more():
            raise BrokenBody(what)
