"""What the header of an image file claims, held against its file and the limit of memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from covidlit.errors import CovidlitError
from covidlit.process import over_limit

_MOST_EXPANSION = 1032
"""Deflate makes at most as many bytes of one."""
_COMPRESSED = re.compile(
    rb"^(CompressedData\s*=\s*True|encoding:\s*(gz|gzip|bz2|bzip2))\b", re.I | re.M
)
_TEXT = re.compile(rb"^(BinaryData\s*=\s*False|encoding:\s*(txt|text|ascii|hex))\b", re.I | re.M)
_DATA_FILE = re.compile(rb"^(?:ElementDataFile\s*=|data ?file:)\s*(\S.*?)\s*$", re.I | re.M)
_HEADER_BYTES = 65_536
_GIPL_HEADER = 256


def check_claimed_size(path: Path, reader: Any) -> None:
    """Refuse an image before it is loaded that is cut off, or would take too much memory.

    ITK takes the memory that a header claims, and reads a GIPL that is cut off without a word.

    Args:
        path: the file.
        reader: a SimpleITK.ImageFileReader that has read its information.

    Raises:
        CovidlitError: it is cut off, or claims more than `covidlit.process.memory_limit`.
    """
    n_values = float(np.prod(np.array(reader.GetSize(), float))) * reader.GetNumberOfComponents()
    claimed = n_values * _value_bytes(reader)
    if (there := _bytes_at_most(path, reader, claimed)) is not None and there[1] < there[2]:
        file, has, wanted = there
        raise CovidlitError(
            f"the file is cut off, or its header is damaged: it can hold {has:.0f} of the "
            f"{wanted:.0f} bytes that the header claims.",
            where=file,
            fix="copy it again from its source.",
        )
    if problem := over_limit(claimed, "its header"):
        raise CovidlitError(f"{problem}.", where=path)


def _value_bytes(reader: Any) -> float:
    import SimpleITK as sitk  # noqa: N813 (its own convention)

    kinds = {
        sitk.sitkUInt8: 1, sitk.sitkInt8: 1, sitk.sitkUInt16: 2, sitk.sitkInt16: 2,
        sitk.sitkUInt32: 4, sitk.sitkInt32: 4, sitk.sitkFloat32: 4, sitk.sitkVectorUInt8: 1,
        sitk.sitkVectorInt8: 1, sitk.sitkVectorUInt16: 2, sitk.sitkVectorInt16: 2,
        sitk.sitkVectorUInt32: 4, sitk.sitkVectorInt32: 4, sitk.sitkVectorFloat32: 4,
    }  # fmt: skip
    return kinds.get(reader.GetPixelID(), 8)


def _bytes_at_most(path: Path, reader: Any, claimed: float) -> tuple[Path, float, float] | None:
    """The file with the voxels, how many bytes it can hold, and how many are wanted of it.

    None where that cannot be told.
    """
    if path.suffix.lower() == ".gipl":
        return path, path.stat().st_size, _GIPL_HEADER + claimed
    with path.open("rb") as handle:
        text = handle.read(_HEADER_BYTES)
    if _TEXT.search(text):
        return None
    expansion = _MOST_EXPANSION if _COMPRESSED.search(text) else 1
    named = _DATA_FILE.search(text)
    file = path
    if named is not None and named[1].upper() != b"LOCAL":
        file = path.with_name(named[1].decode("utf-8", "replace"))
    return (file, expansion * file.stat().st_size, claimed) if file.is_file() else None
