"""The raw data elements of one DICOM file, and their values in plain types."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from math import isfinite


@dataclass(slots=True)
class Elements:
    """Raw values of the wanted elements of one file.

    Args:
        values: tag -> value bytes.
        endian: `<` or `>`, byte order of binary values.
        transfer_syntax: UID; empty where the file has none and it was inferred.
        size: bytes of the file.
        pixel_tag: tag of the pixel data element, 0 where there is none.
        pixel_offset: where its value starts in the file; -1 where only pydicom can reach it.
        pixel_length: bytes of its value; -1 for undefined length (encapsulated).
        invalid: names of the elements whose value did not parse.
    """

    values: dict[int, bytes]
    endian: str = "<"
    transfer_syntax: str = ""
    size: int = 0
    pixel_tag: int = 0
    pixel_offset: int = 0
    pixel_length: int = 0
    invalid: list[str] = field(default_factory=list)

    def text(self, tag: int) -> str:
        """The value as text without padding; empty where absent."""
        return self.values.get(tag, b"").decode("latin-1").strip(" \0")

    def texts(self, tag: int) -> tuple[str, ...]:
        """The values of a multi-valued element; empty where absent."""
        text = self.text(tag)
        return tuple(part.strip() for part in text.split("\\")) if text else ()

    def numbers(self, tag: int, name: str, count: int) -> tuple[float, ...] | None:
        """`count` decimal strings as finite floats; None where absent or (noted) invalid."""
        raw = self.values.get(tag, b"").strip(b" \0")
        if not raw:
            return None
        try:
            found = tuple(float(part) for part in raw.split(b"\\"))
        except ValueError:
            found = ()
        if len(found) != count or b"_" in raw or not all(map(isfinite, found)):
            self.invalid.append(name)
            return None
        return found

    def number(self, tag: int, name: str) -> float | None:
        """The first decimal string as a finite float; None where absent or (noted) invalid."""
        raw = self.values.get(tag, b"").split(b"\\")[0].strip(b" \0")
        if not raw:
            return None
        try:
            value = float(raw)
        except ValueError:
            value = float("nan")
        if b"_" in raw or not isfinite(value):
            self.invalid.append(name)
            return None
        return value

    def word(self, tag: int, name: str) -> int | None:
        """An unsigned 16-bit value; None where absent or (noted) invalid."""
        raw = self.values.get(tag)
        if not raw:
            return None
        if len(raw) != 2:
            self.invalid.append(name)
            return None
        return int(struct.unpack(self.endian + "H", raw)[0])
