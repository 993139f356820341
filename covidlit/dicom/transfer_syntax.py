"""Transfer syntaxes: which are compressed, which can be decoded, and where fragments end."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from pydicom.pixels import get_decoder
from pydicom.uid import UID

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
_JPEG = "1.2.840.10008.1.2.4."
_DECODERS = {
    **dict.fromkeys((f"{_JPEG}50", f"{_JPEG}51", f"{_JPEG}57", f"{_JPEG}70"), "gdcm"),
    **dict.fromkeys((f"{_JPEG}80", f"{_JPEG}81"), "charls"),
    **dict.fromkeys((f"{_JPEG}{number}" for number in (90, 91, 201, 202, 203)), "openjpeg"),
    "1.2.840.10008.1.2.5": "rle",
}
"""Of several decoders the one that raises an ordinary error on most damaged files."""


def decoder_name(transfer_syntax: str) -> str:
    """Which decoder of `covidlit.dicom.decoder_worker` takes this syntax; empty where none does."""
    return _DECODERS.get(transfer_syntax, "")


def is_encapsulated(transfer_syntax: str) -> bool:
    """Whether pixel data in this transfer syntax is stored in compressed fragments."""
    return transfer_syntax not in ("", DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE)


@cache
def no_decoder(transfer_syntax: str) -> str:
    """Why no installed plugin of pydicom decodes this transfer syntax; empty where one does.

    The retired JPEG processes (such as 1.2.840.10008.1.2.4.53 and .55) have no decoder at all.
    """
    problem = f"undecodable: no decoder for transfer syntax {transfer_syntax}"
    try:
        decoder = get_decoder(UID(transfer_syntax))
    except NotImplementedError:
        return problem
    if decoder.is_available and decoder_name(transfer_syntax):
        return ""
    return f"{problem} is installed (one of: {', '.join(decoder.missing_dependencies)})"


def how_to_decode(transfer_syntaxes: Iterable[str]) -> str:
    """What to do about pixels that no installed plugin decodes: packages by name, as far as any."""
    packages: dict[str, None] = {}
    for syntax in sorted(set(transfer_syntaxes)):
        try:
            lacking = get_decoder(UID(syntax)).missing_dependencies
        except NotImplementedError:
            return "store them uncompressed: no package decodes this"
        # "gdcm - requires gdcm>=3.0.10": the name of the plugin, then what it needs.
        needs = [text.partition("requires ")[2] or text for text in lacking]
        quoted = (" ".join(f"'{one}'" for one in need.split(" and ")) for need in needs)
        packages |= dict.fromkeys(quoted)
    if not packages:
        return "store them uncompressed"
    named = " or ".join(f"pip install {need}" for need in packages)
    return f"store them uncompressed, or install a decoder: {named}"


def end_of_fragments(path: Path, offset: int, limit: int = 1024) -> int | None:
    """Where the compressed fragments that start at `offset` end, delimiter not counted.

    Args:
        path: the file.
        offset: where the value of the pixel data element starts.
        limit: the most fragments to step over.

    Returns:
        The offset of the sequence delimiter; None where the file ends before it.
    """
    with path.open("rb", buffering=0) as handle:
        for _ in range(limit):
            handle.seek(offset)
            item = handle.read(8)
            if len(item) < 8:
                return None
            group, element, length = struct.unpack("<HHL", item)
            if (group, element) == (0xFFFE, 0xE0DD):
                return offset
            if (group, element) != (0xFFFE, 0xE000):
                return None
            offset += 8 + length
    return None
