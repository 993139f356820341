"""Pictures of slices and of masks: PNG, JPEG, TIFF."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from covidlit.counted import counted
from covidlit.errors import CovidlitError

LARGEST_SIDE = 16_384
_LARGEST_EDGE = 0.1
"""Share of the pixels of a mask that may be blurred."""


_LABELS = 16
"""So many values at most a picture of labels has; a blurred mask has more."""

_PIECE = 4
"""Pixels of a piece that cannot be noise."""


def read_picture(path: Path, shape: tuple[int, int] | None = None) -> NDArray[np.int16]:
    """A grey picture, int16 (rows, columns) of 0 to 255.

    Pictures of 16 bits are scaled. None tells HU.

    Args:
        path: of the picture.
        shape: (rows, columns) that it must have; None: any.

    Raises:
        CovidlitError: missing, unreadable, coloured or of another size.
    """
    image, bits = _read(path, shape)
    if image.ndim == 3:
        red, green, blue = np.moveaxis(image[..., :3], -1, 0)
        if not ((red == green).all() and (green == blue).all()):
            raise CovidlitError(
                "the picture is coloured; a CT slice is grey.",
                where=path,
                fix="export it without annotations drawn into it.",
            )
        image = red
    grey = image.astype(np.float32) * (255.0 / (2**bits - 1))
    return np.rint(grey).astype(np.int16)


def read_mask(path: Path, shape: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    """A mask picture (rows, columns): of two values what is not 0, else what is above half.

    Scaling and JPEG blur the edges of masks; half of the largest value is where they were.

    Raises:
        CovidlitError: missing, unreadable, of another size, or a picture that is no mask: more than
            a tenth of its pixels lie between, or all those of a piece.
    """
    image, _ = _read(path, shape)
    values = image.max(axis=-1) if image.ndim == 3 else image
    largest = values.max(initial=0)
    mask: NDArray[np.bool_] = values > largest / 2
    between = (values > 0.05 * largest) & (values < 0.95 * largest)
    if between.mean() > _LARGEST_EDGE:
        raise CovidlitError(
            f"the mask has {len(np.unique(values))} values, and {between.mean():.0%} of its pixels "
            "are neither 0 nor the largest.",
            where=path,
            fix="write masks as PNG, one class each, with 0 for what is outside.",
        )
    _check_pieces(path, values, mask)
    return mask


def _check_pieces(path: Path, values: NDArray[Any], mask: NDArray[np.bool_]) -> None:
    """Refuse a mask with a piece that never reaches half: no blurred edge, but another label."""
    grey = np.unique(values)
    if len(grey) <= 2:
        return
    # Of many values, the lowest are what JPEG leaves around edges.
    least = 0.2 * float(grey[-1]) if len(grey) > _LABELS else 0.0
    pieces, count = scipy.ndimage.label(values > least, np.ones((3, 3)))
    reached = np.zeros(count + 1, bool)
    reached[pieces[mask]] = True
    lost = ~reached & (np.bincount(pieces.ravel(), minlength=count + 1) >= _PIECE)
    lost[0] = False
    if lost.any():
        number = int(np.flatnonzero(lost)[0])
        raise CovidlitError(
            f"the mask has {len(grey)} values, and {counted(int(lost.sum()), 'piece')} in which "
            f"none is above half of the largest ({grey[-1]}), such as "
            f"{values[pieces == number][0]}.",
            where=path,
            fix="write masks as PNG, one class each, all objects with one value.",
        )


def picture_size(path: Path) -> tuple[int, int]:
    """(rows, columns) of a picture, by its header.

    Raises:
        CovidlitError: missing or unreadable.
    """
    with _opened(path) as image:
        return image.height, image.width


def _opened(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path)
    except FileNotFoundError:
        raise CovidlitError("there is no such file.", where=path, fix="check the path.") from None
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise CovidlitError(
            f"cannot be read as a picture ({type(error).__name__}).",
            where=path,
            fix="write it as PNG; volumes are read from a manifest (data=slices).",
        ) from error


def _read(path: Path, shape: tuple[int, int] | None) -> tuple[NDArray[Any], int]:
    """The values and how many bits they have."""
    with _opened(path) as image:
        size = image.height, image.width
        if shape is not None and size != shape:
            raise CovidlitError(
                f"the picture has {size[0]} x {size[1]} pixels, and {shape[0]} x {shape[1]} are "
                "expected (height x width).",
                where=path,
                fix="give the picture that was annotated.",
            )
        if max(size) > LARGEST_SIDE:
            raise CovidlitError(
                f"the picture has {size[0]} x {size[1]} pixels.", where=path, fix="scale it down."
            )
        bits = 16 if image.mode.startswith("I;16") else {"I": 16, "1": 1}.get(image.mode, 8)
        if image.mode in ("P", "RGBA", "LA", "CMYK", "YCbCr", "PA"):
            image = image.convert("RGB")
        elif image.mode not in ("L", "1", "I", "RGB") and not image.mode.startswith("I;16"):
            raise CovidlitError(
                f"pictures of the kind {image.mode} are not read.",
                where=path,
                fix="write it with 8 or 16 bits of grey.",
            )
        try:
            return np.asarray(image), bits
        except (OSError, ValueError, SyntaxError) as error:
            raise CovidlitError(
                f"the picture is damaged ({error}).", where=path, fix="write it again."
            ) from error
