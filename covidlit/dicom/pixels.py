"""Pixels to Hounsfield units: stored values, rescale, padding."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.encaps import generate_frames, get_frame

from covidlit.dicom.decoding import DecodeError, DecoderStartError, DecodeTimeoutError, decode
from covidlit.dicom.parse import inflated_pixels
from covidlit.dicom.series import Frame, ImageFile
from covidlit.dicom.stored_bits import StoredBitsError, drop_unused_bits
from covidlit.dicom.transfer_syntax import DEFLATED, is_encapsulated
from covidlit.scans.scan import AIR_HU

_INT16 = np.iinfo(np.int16)


def read_hu(frames: Sequence[Frame], out: Sequence[NDArray[np.int16]]) -> None:
    """Read slices of one file and write their Hounsfield units into `out`.

    Args:
        frames: slices of the same file.
        out: one C-contiguous int16 array (row, column) for each.

    Raises:
        OSError, ValueError, ...: pydicom and its plugins may raise nearly anything on damaged
            pixels; `read_series` guards.
    """
    image = frames[0].source
    if _is_plain(image):
        size = image.rows * image.columns * 2
        with open(image.path, "rb", buffering=0) as handle:  # noqa: PTH123 (speed, many files)
            for frame, target in zip(frames, out, strict=True):
                handle.seek(image.pixel_offset + frame.index * size)
                if handle.readinto(target.data.cast("B")) != size:
                    raise EOFError("the file ends before its pixel data do")
                if image.endian == ">":
                    target.byteswap(inplace=True)
                rescale_in_place(target, frame)
        return
    for frame, stored, target in zip(frames, _decoded(frames), out, strict=True):
        if stored.dtype == (np.int16 if image.signed else np.uint16):
            target[:] = _shaped(stored, image).view(np.int16)
            rescale_in_place(target, frame)
        else:
            values = np.array(_shaped(stored, image))
            _, _, padded = _in_range(values, frame)
            target[:] = to_hu(values, frame, padded)


def rescale_in_place(stored: NDArray[np.int16], frame: Frame) -> None:
    """Turn 16-bit stored values, signed or not, into HU in the same memory.

    Args:
        stored: int16 (row, column); unsigned values lie in the same bits.
        frame: slope, intercept, bits stored and padding.
    """
    image, slope = frame.source, frame.slope
    view = stored if image.signed else stored.view(np.uint16)
    low, high, padded = _in_range(view, frame)
    intercept = frame.intercept or 0.0
    plain = slope in (1.0, None) and intercept == int(intercept)
    if not plain or low + intercept < _INT16.min or high + intercept > _INT16.max:
        stored[:] = to_hu(view, frame, padded)
        return
    padded = _padded(view, frame) if padded is None else padded
    # The sum fits into 16 bits, so adding modulo 2**16 is exact for unsigned values as well.
    np.add(stored, np.array(int(intercept)).astype(np.int16), out=stored)
    if low + intercept < AIR_HU:
        np.maximum(stored, AIR_HU, out=stored)
    if padded is not None:
        stored[padded] = AIR_HU


def to_hu(
    stored: NDArray[Any], frame: Frame, padded: NDArray[np.bool_] | None = None
) -> NDArray[np.int16]:
    """Hounsfield units of stored values.

    Padding, and whatever lies below air (such as -3024 outside the field of view), becomes
    `AIR_HU`; values are rounded and clipped to int16.

    Args:
        stored: integers (row, column), unused bits already dropped.
        frame: slope, intercept and padding.
        padded: which of them are padding, where that is known already.

    Source: DICOM PS3.3, sections C.11.1.1.2 (rescale) and C.7.5.1.1.2 (padding).
    """
    slope = 1.0 if frame.slope is None else frame.slope
    values = stored.astype(np.float64) * slope + (frame.intercept or 0.0)
    hu = np.clip(np.rint(values), AIR_HU, _INT16.max).astype(np.int16)
    padded = _padded(stored, frame) if padded is None else padded
    if padded is not None:
        hu[padded] = AIR_HU
    return hu


def same_image(first: Frame, second: Frame) -> bool:
    """Whether two slices hold the same Hounsfield units; False where one cannot be decoded."""
    shapes = [(frame.source.rows, frame.source.columns) for frame in (first, second)]
    if shapes[0] != shapes[1]:
        return False
    images = [np.empty(shape, np.int16) for shape in shapes]
    for frame, image in zip((first, second), images, strict=True):
        try:
            if decode_problem([frame], [image]):
                return False
        except DecodeTimeoutError:
            return False
    return bool(np.array_equal(images[0], images[1]))


def decode_problem(frames: Sequence[Frame], out: Sequence[NDArray[np.int16]]) -> str:
    """`read_hu`, with the reason as text where it fails; empty where it does not.

    The boundary for damaged pixels: decoders raise nearly anything, so every Exception is caught
    here, on purpose, and becomes a reason that the verdict names.

    Raises:
        DecoderStartError: the machine cannot start a process for the decoder, which says nothing of
            the file.
        DecodeTimeoutError: the decoder took too long.
    """
    try:
        read_hu(frames, out)
    except (DecoderStartError, DecodeTimeoutError):
        raise
    except DecodeError as error:
        return f"undecodable: {error}"
    except StoredBitsError as error:
        return str(error)
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        return f"undecodable: {type(error).__name__}: {text}"
    return ""


def _is_plain(image: ImageFile) -> bool:
    return image.bits_allocated == 16 and image.pixel_offset > 0 and image.pixel_length >= 0


def _in_range(stored: NDArray[Any], frame: Frame) -> tuple[int, int, NDArray[np.bool_] | None]:
    """Bounds of the values once bits above BitsStored are dropped, in place.

    Also which values are padding, where that had to be found out before.
    """
    image = frame.source
    bits = image.bits_stored
    low, high = (int(stored.min()) if image.signed else 0), int(stored.max())
    first = -(1 << bits - 1) if image.signed else 0
    if low >= first and high < first + (1 << bits):
        return low, high, None
    # Padding may take bits that values do not, such as -2000 beside values of 12 bits.
    padded = is_padding(stored, image)
    drop_unused_bits(stored, image, padded)
    return int(stored.min()), int(stored.max()), padded


def _padded(stored: NDArray[Any], frame: Frame) -> NDArray[np.bool_] | None:
    """Which stored values are padding; None where none can be, or where they are air anyway."""
    ends = padding_ends(frame.source)
    if ends is None or frame.ignores_padding:
        return None
    slope = 1.0 if frame.slope is None else frame.slope
    if slope > 0 and ends[1] * slope + (frame.intercept or 0.0) <= AIR_HU:
        return None
    return is_padding(stored, frame.source)


def is_padding(stored: NDArray[Any], image: ImageFile) -> NDArray[np.bool_]:
    """Which stored values the header calls padding."""
    ends = padding_ends(image)
    if ends is None:
        return np.zeros(stored.shape, bool)
    low, high = ends
    return stored == low if low == high else (stored >= low) & (stored <= high)


def padding_ends(image: ImageFile) -> tuple[int, int] | None:
    """The lowest and the highest stored value that is padding; None where there is none."""
    if image.padding is None:
        return None
    bits = min(image.bits_allocated, 16)
    ends = [value & ((1 << bits) - 1) for value in image.padding]
    if image.signed:
        ends = [value - (1 << bits) if value >> bits - 1 else value for value in ends]
    return min(ends), max(ends)


def _decoded(frames: Sequence[Frame]) -> Iterator[NDArray[Any]]:
    """Stored values of slices that are compressed, deflated or not of 16 bits."""
    image = frames[0].source
    if image.endian == "<" and image.pixel_offset > 0 and is_encapsulated(image.transfer_syntax):
        yield from _decoded_fragments(frames)
        return
    if image.transfer_syntax == DEFLATED:
        yield from _deflated(frames)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        element = dcmread(image.path, force=True)["PixelData"]
    content = element.value
    if image.endian == ">" and image.bits_allocated == 8 and element.VR == "OW":
        content = np.frombuffer(content, ">u2").astype("<u2").tobytes()  # two pixels in a word
    kind = np.dtype(f"{image.endian}{'i' if image.signed else 'u'}{image.bits_allocated // 8}")
    count = image.rows * image.columns
    for frame in frames:
        start = frame.index * count * kind.itemsize
        values = np.frombuffer(content, kind, count, start)
        yield values.reshape(image.rows, image.columns).astype(kind.newbyteorder("="))


def _decoded_fragments(frames: Sequence[Frame]) -> Iterator[NDArray[Any]]:
    image = frames[0].source
    with image.path.open("rb") as handle:
        handle.seek(image.pixel_offset)
        content = handle.read()
    if len(frames) == 1:
        yield _decoded_code(
            get_frame(content, frames[0].index, number_of_frames=image.n_frames), image
        )
        return
    wanted = {frame.index for frame in frames}
    codes = {
        index: code
        for index, code in enumerate(generate_frames(content, number_of_frames=image.n_frames))
        if index in wanted
    }
    for frame in frames:
        if frame.index not in codes:
            raise DecodeError(f"frame {frame.index + 1} is not there")
        yield _decoded_code(codes[frame.index], image)


def _deflated(frames: Sequence[Frame]) -> Iterator[NDArray[Any]]:
    image = frames[0].source
    kind = np.dtype(f"<{'i' if image.signed else 'u'}{image.bits_allocated // 8}")
    size = image.rows * image.columns * kind.itemsize
    content = inflated_pixels(image.path, size * (1 + max(frame.index for frame in frames)))
    for frame in frames:
        values = np.frombuffer(content, kind, image.rows * image.columns, frame.index * size)
        yield values.reshape(image.rows, image.columns)


def _decoded_code(code: bytes, image: ImageFile) -> NDArray[Any]:
    values, image.code_precision = decode(code, image)
    return values


def _shaped(stored: NDArray[Any], image: ImageFile) -> NDArray[Any]:
    if stored.shape != (image.rows, image.columns):
        raise ValueError(
            f"decoded to {stored.shape}, but the header says {(image.rows, image.columns)}"
        )
    return stored
