"""Why the pixels of one image file cannot be read, as far as its header and its size tell."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydicom.config import IGNORE
from pydicom.datadict import tag_for_keyword
from pydicom.uid import UID

from covidlit.dicom.elements import Elements
from covidlit.dicom.series import ImageFile
from covidlit.dicom.transfer_syntax import end_of_fragments, is_encapsulated, no_decoder

_FORMAT_WORDS = (
    (0x00280100, "BitsAllocated"),
    (0x00280101, "BitsStored"),
    (0x00280103, "PixelRepresentation"),
)
_KEYWORD = re.compile(r"\b[A-Z][a-z]+[A-Z]\w+\b")


def damage_of(image: ImageFile, elements: Elements) -> str:
    """Why the pixels cannot be read; empty where they can.

    Args:
        image: with everything but its damage.
        elements: what it was made of; says which values did not parse.
    """
    if elements.invalid:
        return "; ".join(elements.invalid.values())
    if not image.rows or not image.columns:
        return "no Rows or Columns"
    if elements.pixel_tag == 0:
        return "no pixel data: the file ends before it"
    if elements.pixel_tag != 0x7FE00010:
        return "floating-point pixel data, which CT does not have"
    if image.samples != 1:
        return f"SamplesPerPixel is {image.samples} (a colour image)"
    if image.photometric not in ("MONOCHROME1", "MONOCHROME2", ""):
        return f"PhotometricInterpretation is {image.photometric}"
    if problem := _format_problem(image, elements):
        return problem
    if image.pixel_offset < 0:
        return ""
    if image.pixel_length < 0:
        return _problem_of_fragments(image)
    if is_encapsulated(image.transfer_syntax):
        # A compressed code has no length; pixel data with one was decompressed, or never was one.
        return f"pixel data without fragments in {_named(image.transfer_syntax)}"
    return _problem_of_length(image)


def pixel_bytes(image: ImageFile) -> int:
    """How many bytes the stored values of an uncompressed file take."""
    return image.rows * image.columns * image.bits_allocated // 8 * image.n_frames


def excess_bytes(image: ImageFile) -> int:
    """How many bytes the pixel data of an uncompressed file hold beyond its values."""
    if image.pixel_offset <= 0 or image.pixel_length < 0:
        return 0
    needed = pixel_bytes(image)
    return max(0, image.pixel_length - needed - needed % 2)


def how_to_mend(reasons: Iterable[str]) -> str:
    """What helps against the reasons why files cannot be read, in a few words.

    A wrong header stays wrong however often the file is fetched.
    """
    fields: dict[str, None] = {}
    fetch = False
    for reason in reasons:
        words = [word for word in _KEYWORD.findall(reason) if tag_for_keyword(word) is not None]
        fields |= dict.fromkeys(words)
        fetch |= not words
    listed = ", ".join(list(fields)[:4])
    if not fields:
        return "fetch them again"
    mend = f"correct {listed} in the headers, or export the series again"
    return f"fetch them again, or {mend}" if fetch else mend


def _format_problem(image: ImageFile, elements: Elements) -> str:
    """What is wrong with the elements that say how a value is stored.

    Source: DICOM PS3.5, section 8.1.1; PS3.3, section C.7.6.3.
    """
    missing = [name for tag, name in _FORMAT_WORDS if elements.word(tag, name) is None]
    if missing:
        return f"no {', '.join(missing)}"
    if image.bits_allocated not in (8, 16, 32):
        return f"BitsAllocated is {image.bits_allocated}, which is not 8, 16 or 32"
    if not 1 <= image.bits_stored <= image.bits_allocated:
        return f"BitsStored is {image.bits_stored}, of BitsAllocated {image.bits_allocated}"
    high_bit = elements.word(0x00280102, "HighBit")
    if high_bit is not None and high_bit != image.bits_stored - 1:
        return (
            f"HighBit is {high_bit}, which does not fit BitsStored {image.bits_stored}: "
            "where the values lie in their words is not certain"
        )
    representation = elements.word(0x00280103, "PixelRepresentation")
    if representation not in (0, 1):
        return f"PixelRepresentation is {representation}, neither 0 (unsigned) nor 1 (signed)"
    return ""


def _problem_of_length(image: ImageFile) -> str:
    needed = pixel_bytes(image)
    there = image.size - image.pixel_offset
    if image.pixel_length >= needed > there:
        return f"truncated: {there} of {needed} bytes of pixel data"
    if image.pixel_length < needed:
        frames = f" x NumberOfFrames {image.n_frames}" if image.n_frames > 1 else ""
        return (
            f"{image.pixel_length} of {needed} bytes of pixel data: too few for Rows {image.rows} "
            f"x Columns {image.columns}{frames} of {image.bits_allocated} bits"
        )
    return ""


def _problem_of_fragments(image: ImageFile) -> str:
    if not is_encapsulated(image.transfer_syntax):
        return f"compressed fragments in {_named(image.declared_syntax or image.transfer_syntax)}"
    if problem := no_decoder(image.transfer_syntax):
        return problem
    if image.endian != "<":
        return f"big endian in {_named(image.transfer_syntax)}"
    if image.n_frames == 1 and end_of_fragments(image.path, image.pixel_offset) is None:
        return "truncated: the compressed pixel data does not end"
    return ""


def _named(transfer_syntax: str) -> str:
    uid = UID(transfer_syntax, validation_mode=IGNORE)
    name = "unknown" if uid.is_private or uid.name == uid else uid.name
    return f"TransferSyntaxUID {transfer_syntax} ({name})"
