"""A checkpoint read into NumPy arrays, without torch, which takes longer to import than a small
network to score; nothing in it is ever executed.

The format is that of `torch.save` since torch 1.6: a ZIP archive with one folder, in it `data.pkl`,
a pickle that names each tensor's storage, `byteorder`, and `data/KEY`, the bytes of each storage.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from math import prod
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from covidlit.checkpoints.checks import (
    GARBLED,
    check_content,
    check_file,
    damaged,
    unreadable,
    untrusted,
)

TYPES = {
    "BoolStorage": "?", "ByteStorage": "u1", "CharStorage": "i1", "ShortStorage": "i2",
    "IntStorage": "i4", "LongStorage": "i8", "HalfStorage": "f2", "FloatStorage": "f4",
    "DoubleStorage": "f8",
}  # fmt: skip
"""Types of storages, as NumPy calls them."""


def load_arrays(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of covidlit, as `covidlit.checkpoints.load_checkpoint` does.

    Returns:
        The same, with NumPy arrays instead of tensors. Of weights in bfloat16 nothing is read.

    Raises:
        CheckpointError: as `load_checkpoint` raises it.
    """
    path = Path(path)
    check_file(path)
    try:
        with ZipFile(path) as archive:
            content = _content(archive)
    except _NotAllowedError as error:
        raise untrusted(path, [str(error)]) from error
    except OSError as error:
        raise unreadable(path, error) from error
    except (*GARBLED, BadZipFile, NotImplementedError, pickle.UnpicklingError) as error:
        raise damaged(path) from error
    check_content(content, path, np.ndarray)
    return dict(content)


class _NotAllowedError(Exception):
    """A pickle asks for something that could run."""


class _Storage:
    """A class of torch's storages, by name; nothing is made of it."""

    def __init__(self, name: str) -> None:
        self.type = TYPES[name]


class _Reader(pickle.Unpickler):
    """Reads tensors and plain values; whatever else a pickle names is refused unseen."""

    def __init__(self, archive: ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}data.pkl")))
        self._archive, self._folder = archive, folder
        self._stored: dict[str, NDArray[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _array
        if module == "torch" and name in TYPES:
            return _Storage(name)
        raise _NotAllowedError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        _, storage, key, _, n_values = pid
        if key not in self._stored:
            content = self._archive.read(f"{self._folder}data/{key}")
            self._stored[key] = np.frombuffer(content, np.dtype(storage.type).newbyteorder("<"))
        if len(self._stored[key]) != n_values:
            raise ValueError("a storage has another size than was said")
        return self._stored[key]


def _content(archive: ZipFile) -> Any:
    (name,) = [each for each in archive.namelist() if each.endswith("/data.pkl")]
    folder = name.removesuffix("data.pkl")
    if archive.read(f"{folder}byteorder") != b"little":
        raise ValueError("numbers are not little-endian")
    return _Reader(archive, folder).load()


def _array(
    storage: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> NDArray[Any]:
    """The array of a tensor: a part of its storage, which it may not leave."""
    if len(shape) != len(strides) or min((offset, *shape, *strides)) < 0:
        raise ValueError("a tensor has no such shape")
    size = prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if size > len(storage) or (size and last >= len(storage)):
        raise ValueError("a tensor is larger than its storage")
    bytes_ = storage.itemsize
    view = np.lib.stride_tricks.as_strided(
        storage[offset:] if size else storage[:0], shape, [step * bytes_ for step in strides]
    )
    return view.copy()
