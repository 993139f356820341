"""Contract 4, the cache: prepared volumes as memory-mapped int16 `.npy` with a JSON sidecar.

Layout under the cache folder: `volumes/<first two of key>/<key>.npy` and `.json`. The key is a hash
of the source's voxels and affine, the arguments and the number of the format, so that a changed
source or argument can never be served a stale array.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
import pydantic
from numpy.typing import NDArray

from covidlit.errors import CacheError
from covidlit.files import atomic_path, fingerprint, write_text
from covidlit.preprocess.geometry import Geometry, Prepared
from covidlit.scans.scan import Scan

FORMAT = 1
"""Number of the preprocessing format. Raised only when `prepare_scan` or the files change."""

PREPARE = (
    "run `covidlit prepare` with the same arguments: it writes damaged or missing volumes anew."
)

Triple = tuple[int, int, int]
Matrix = list[list[float]]


class CropRecord(pydantic.BaseModel):
    """How the volume was cut out: see `covidlit.preprocess.geometry.Crop`."""

    start: Triple
    resampled_shape: Triple
    centred_on: Literal["body", "image"]


class Arguments(pydantic.BaseModel):
    """The arguments of the preparation: spacing in mm and size in voxels, (z, y, x)."""

    spacing: tuple[float, float, float]
    size: Triple


class Sidecar(pydantic.BaseModel):
    """What a prepared volume was made from, and how to map it back to its source.

    Affines map the index (z, y, x, 1) to LPS millimetres (x, y, z, 1).
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    format: int
    key: str
    source_hash: str
    pixel_hash: str
    array_hash: str
    source_shape: Triple
    source_affine: Matrix
    target_affine: Matrix
    crop: CropRecord
    arguments: Arguments
    notes: tuple[str, ...] = ()

    def to_source(self, index: NDArray[np.floating]) -> NDArray[np.float64]:
        """Indices (..., 3) (z, y, x) of the prepared volume as indices of the source volume."""
        matrix = np.linalg.inv(np.array(self.source_affine)) @ np.array(self.target_affine)
        return np.asarray(index) @ matrix[:3, :3].T + matrix[:3, 3]


def pixel_hash(hu: NDArray[np.int16]) -> str:
    """SHA-256 (hex) of a volume's shape and voxels: equal for equal images under any name."""
    digest = hashlib.sha256(repr(tuple(int(n) for n in hu.shape)).encode())
    # Slice by slice, because a flipped view would be copied as a whole otherwise.
    for plane in hu:
        digest.update(np.ascontiguousarray(plane, dtype="<i2").data)
    return digest.hexdigest()


def source_hash(scan: Scan, pixels: str | None = None) -> str:
    """SHA-256 (hex) of all that the preparation depends on: voxels and affine (to 1 nm)."""
    affine = [[round(float(v), 6) + 0.0 for v in row] for row in scan.affine]
    return fingerprint({"pixels": pixels or pixel_hash(scan.hu), "affine": affine})


def scan_name(scan_id: str, scan: Scan) -> str:
    """What the files of a scan are named by: its id, or a hash of its voxels where it has none.

    An image file's own name may be a patient's, which a hash of the name would still give away to
    anyone who tries names out; and its number among the images of one call is another in the next.
    """
    return scan_id or f"image-{source_hash(scan)[:12]}"


class VolumeCache:
    """The prepared volumes under one folder. Safe with many processes reading and writing.

    Args:
        root: the cache folder; made when the first volume is written.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def key_of(self, source: str, geometry: Geometry) -> str:
        """The key of a source (its `source_hash`) prepared with `geometry` in this format."""
        return fingerprint({"source": source, "arguments": geometry.arguments(), "format": FORMAT})

    def array_path(self, key: str) -> Path:
        """Where the volume of `key` lies."""
        return self.root / "volumes" / key[:2] / f"{key}.npy"

    def contains(self, key: str, *, verify: bool = False) -> bool:
        """Whether the volume of `key` is there, whole and of this format.

        Args:
            key: from `key_of`.
            verify: read the voxels as well and compare their hash.
        """
        try:
            array, sidecar = self.open(key)
        except CacheError:
            return False
        return not verify or pixel_hash(array) == sidecar.array_hash

    def write(self, scan: Scan, prepared: Prepared, geometry: Geometry) -> Sidecar:
        """Write a prepared volume and its sidecar atomically, replacing what was there.

        Raises:
            CovidlitError: the disk is full or the folder cannot be written.
        """
        pixels = pixel_hash(scan.hu)
        source = source_hash(scan, pixels)
        crop = prepared.crop
        sidecar = Sidecar(
            format=FORMAT,
            key=self.key_of(source, geometry),
            source_hash=source,
            pixel_hash=pixels,
            array_hash=pixel_hash(prepared.array),
            source_shape=(scan.hu.shape[0], scan.hu.shape[1], scan.hu.shape[2]),
            source_affine=scan.affine.tolist(),
            target_affine=prepared.affine.tolist(),
            crop=CropRecord(
                start=crop.start,
                resampled_shape=crop.resampled_shape,
                centred_on="body" if crop.centred_on == "body" else "image",
            ),
            arguments=Arguments(spacing=geometry.spacing, size=geometry.size),
            notes=tuple(scan.notes),
        )
        path = self.array_path(sidecar.key)
        with atomic_path(path) as temporary:
            _save(temporary, prepared.array)
        # Written last: a volume without its sidecar counts as missing.
        write_text(path.with_suffix(".json"), sidecar.model_dump_json(indent=2) + "\n")
        return sidecar

    def open(self, key: str) -> tuple[np.memmap, Sidecar]:
        """Map a volume into memory, read-only.

        Returns:
            int16 HU (z, y, x), and its sidecar.

        Raises:
            CacheError: the volume or its sidecar is missing, damaged or of another format.
        """
        path = self.array_path(key)
        sidecar = self.sidecar(key)
        return open_array(path, sidecar.arguments.size), sidecar

    def sidecar(self, key: str) -> Sidecar:
        """Read the sidecar of `key`.

        Raises:
            CacheError: missing, damaged or of another format.
        """
        path = self.array_path(key).with_suffix(".json")
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise CacheError("this volume is not in the cache.", where=path, fix=PREPARE) from None
        except (OSError, UnicodeDecodeError) as error:
            raise CacheError(
                f"the sidecar cannot be read: {error}.", where=path, fix=PREPARE
            ) from error
        try:
            sidecar = Sidecar.model_validate_json(text)
        except pydantic.ValidationError as error:
            number = _format_of(text)
            if number not in (None, FORMAT):
                raise _other_format(path, number) from error
            first = error.errors()[0]
            raise CacheError(
                f"the sidecar is damaged: {'.'.join(map(str, first['loc']))}: {first['msg']}.",
                where=path,
                fix=PREPARE,
            ) from error
        if sidecar.format != FORMAT:
            raise _other_format(path, sidecar.format)
        if sidecar.key != key:
            raise CacheError(
                f"the sidecar belongs to the volume {sidecar.key}.", where=path, fix=PREPARE
            )
        return sidecar


def open_array(path: Path, size: Triple) -> np.memmap:
    """Map an int16 `.npy` of the shape `size` into memory, read-only.

    Raises:
        CacheError: missing, truncated, or not such an array.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise CacheError("this volume is not in the cache.", where=path, fix=PREPARE) from None
    except (OSError, ValueError, EOFError) as error:
        raise CacheError(f"the volume is damaged: {error}.", where=path, fix=PREPARE) from error
    if array.dtype != np.dtype("<i2") or array.shape != tuple(size):
        raise CacheError(
            f"the volume is {array.dtype} {array.shape}, expected int16 {tuple(size)}.",
            where=path,
            fix=PREPARE,
        )
    return array


def _save(path: Path, array: NDArray[np.int16]) -> None:
    # Not np.save: on a full disk ndarray.tofile raises an OSError without its number.
    array = np.ascontiguousarray(array, dtype="<i2")
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)


def _format_of(text: str) -> object:
    try:
        return pydantic.TypeAdapter(dict[str, object]).validate_json(text).get("format")
    except pydantic.ValidationError:
        return None


def _other_format(path: Path, number: object) -> CacheError:
    return CacheError(
        f"the volume has the preprocessing format {number}, this covidlit needs {FORMAT}.",
        where=path,
        fix=PREPARE,
    )
