"""The raw data elements of one DICOM file, and their values in plain types."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from math import isfinite

_SHOWN_CHARACTERS = 40
_NUMBER_LIKE = re.compile(r"(?=.*\d|nan|[+-]?inf)[-+0-9.,;:/\\ _'^*a-z]*", re.IGNORECASE)


@dataclass(slots=True)
class Elements:
    """Raw values of the wanted elements of one file.

    Args:
        values: tag -> value bytes.
        endian: `<` or `>`, byte order of binary values.
        transfer_syntax: UID of the encoding as it is.
        declared: UID that the file gives for itself, where its elements are written otherwise.
        size: bytes of the file.
        pixel_tag: tag of the pixel data element, 0 where there is none.
        pixel_offset: where its value starts in the file; -1 where only pydicom can reach it.
        pixel_length: bytes of its value; -1 for undefined length (encapsulated).
        invalid: why the value of an element did not parse, by the element's name.
    """

    values: dict[int, bytes]
    endian: str = "<"
    transfer_syntax: str = ""
    declared: str = ""
    size: int = 0
    pixel_tag: int = 0
    pixel_offset: int = 0
    pixel_length: int = 0
    invalid: dict[str, str] = field(default_factory=dict)

    def text(self, tag: int) -> str:
        """The value as text without padding; empty where absent."""
        raw = self.values.get(tag)
        return raw.decode("latin-1").strip(" \0") if raw else ""

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
            self.invalid[name] = _why_no_numbers(name, raw, count)
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
            self.invalid[name] = _why_no_numbers(name, raw, 1)
            return None
        return value

    def word(self, tag: int, name: str) -> int | None:
        """An unsigned 16-bit value; None where absent or (noted) invalid."""
        raw = self.values.get(tag)
        if not raw:
            return None
        if len(raw) != 2:
            self.invalid[name] = f"{name} has {len(raw)} bytes instead of 2"
            return None
        return int(struct.unpack(self.endian + "H", raw)[0])


def _why_no_numbers(name: str, raw: bytes, count: int) -> str:
    """What is wrong with a value that should hold decimal numbers."""
    text = raw.decode("latin-1")
    what = "not a number" if count == 1 else f"not {count} numbers"
    # A damaged element may hold any text, even a person's name; only what looks like numbers, with
    # at most a unit, is repeated.
    if not _NUMBER_LIKE.fullmatch(text) or re.search("[a-z]{4}", text, re.IGNORECASE):
        return f"the value of {name} is {what}"
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
    if "," in text:
        what += " (a comma, where DICOM writes a decimal point or separates by a backslash)"
    return f"{name} '{shown}' is {what}"
