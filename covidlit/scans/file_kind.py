"""What an image file is, by its first bytes and not by its name."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

import numpy as np

from covidlit.errors import CovidlitError

_HEAD = 4096
_MOST_LAYERS = 3
_GZIP = b"\x1f\x8b"


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, without the gzip layers about it, however often it was compressed.

    Raises:
        CovidlitError: (also while it is read) a layer is damaged or cut off, or there are too many.
    """
    with ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(path.open("rb"))
        try:
            for _ in range(_MOST_LAYERS + 1):
                if _start(file, 2) != _GZIP:
                    break
                file = cast(IO[bytes], stack.enter_context(gzip.GzipFile("", "rb", fileobj=file)))
            else:
                raise CovidlitError(
                    f"it is compressed more than {_MOST_LAYERS} times.",
                    where=path,
                    fix="unpack it.",
                )
            yield file
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise CovidlitError(
                f"cannot be read as an image: the compressed file is damaged or cut off ({error}).",
                where=path,
                fix="copy it again from its source.",
            ) from error


def kind_of(path: Path) -> str:
    """What a file is: "nifti" (also Analyze), "meta", "nrrd", "gipl", "dicom", "zip", or ""."""
    with opened(path) as file:
        head = _start(file, _HEAD)
    return kind_of_bytes(head)


def kind_of_bytes(head: bytes) -> str:
    """As `kind_of`, of the first bytes of a file."""
    if head[:4] == b"NRRD":
        return "nrrd"
    if head[128:132] == b"DICM":
        return "dicom"
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    if len(head) >= 348 and _sizes(head) & {348, 540}:
        return "nifti"
    if len(head) >= 256 and head[252:256] in (b"\xef\xff\xe9\xb0", b"\x2a\xe3\x89\xb7"):
        return "gipl"
    if b"NDims" in head and b"ElementType" in head:
        return "meta"
    return ""


def _sizes(head: bytes) -> set[int]:
    return {int(np.frombuffer(head[:4], order)[0]) for order in ("<i4", ">i4")}


def _start(file: IO[bytes], n: int) -> bytes:
    """The first bytes; the file stands at its start again."""
    head = file.read(n)
    file.seek(0)
    return head
