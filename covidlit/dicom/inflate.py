"""Deflated DICOM files, inflated no further than what is wanted of them."""

from __future__ import annotations

import zlib
from pathlib import Path

from covidlit.errors import DicomError
from covidlit.process import MEMORY_VARIABLE, memory_limit

_PIECE = 65_536


class Inflated:
    """The data set of a deflated file, as far as it was inflated.

    Args:
        path: the file.
        start: where its deflated part starts.

    Source: DICOM PS3.5, section A.5.
    """

    def __init__(self, path: Path | str, start: int) -> None:
        self.content = bytearray()
        self.is_whole = False
        self._path, self._place = Path(path), start
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def grow_to(self, length: int) -> bytes:
        """At least `length` bytes of it, or all of it where it is shorter.

        Raises:
            DicomError: the deflated part is damaged or cut off.
        """
        with self._path.open("rb") as handle:
            handle.seek(self._place)
            while len(self.content) < length and not self.is_whole:
                rest = self._inflater.unconsumed_tail
                piece = rest or handle.read(_PIECE)
                most = min(length - len(self.content), 16 * _PIECE)
                try:
                    self.content += self._inflater.decompress(piece, most)
                except zlib.error as error:
                    raise DicomError(f"damaged: its deflated part: {error}.") from error
                if not rest:
                    self._place += len(piece)
                self.is_whole = self._inflater.eof
                if not piece and not self.is_whole:
                    raise DicomError("damaged: its deflated part is cut off.")
        return bytes(self.content)


def inflated_bytes(path: Path | str, start: int, most: int) -> int:
    """How long the deflated part of a file is when it is inflated, told up to `most` and a piece.

    Raises:
        DicomError: it is damaged or cut off.
    """
    found = Inflated(path, start)
    total = 0
    while not found.is_whole and total <= most:
        total += len(found.grow_to(16 * _PIECE))
        found.content.clear()
    return total


def header_limit() -> int:
    """Bytes that a deflated file may hold before its pixel data: a 32nd of `memory_limit`."""
    return memory_limit() // 32


def too_long() -> DicomError:
    """The error for a deflated file without pixel data within `header_limit`."""
    return DicomError(
        f"its deflated part holds no pixel data within {header_limit() >> 20} MiB.",
        fix=f"if it is meant so, set {MEMORY_VARIABLE} in the environment to more than "
        f"{memory_limit() >> 30}.",
    )
