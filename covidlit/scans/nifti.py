"""NIfTI and Analyze, read by the header's own words: what it does not say is never made up.

Source: the NIfTI-1 header, nifti1.h, sections on orientation (methods 1 to 3), scl_slope and
xyzt_units.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from covidlit.counted import counted
from covidlit.errors import CovidlitError
from covidlit.process import over_limit
from covidlit.scans.file_kind import opened
from covidlit.scans.placement import stated_affine

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # of the world: NIfTI's is RAS
_UNITS = {1: ("metres", 1000.0), 3: ("micrometres", 0.001)}
_LABELS = 1002  # intent code: the values are indices of labels
_TEMPLATES = (3, 4, 5)  # sform codes of spaces that are not the patient's: Talairach, MNI, other
_ALIKE = 0.01  # share by which voxel sizes may differ
_APART_MM = 1.0
_MOST_DEFLATED = 1100  # times that gzip makes a file smaller at best


@dataclass(frozen=True)
class NiftiImage:
    """A NIfTI or Analyze volume.

    Args:
        array: (z, y, x) in the file's order, scaled as the header says; floats where it scales by
            fractions.
        affine: (4, 4), index (z, y, x) to LPS mm.
        notes: what was chosen where the header contradicts itself.
        labels: whether the header says that the values are labels.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    labels: bool = False


def read_nifti(path: Path, orientation: str | None = None) -> NiftiImage:
    """Read a NIfTI or Analyze file, compressed or not, single or as a pair of .hdr and .img.

    Args:
        path: of the file, or of either one of the pair.
        orientation: what the axes run to where the header does not say, such as "LPS"; see
            `covidlit.scans.placement.check_orientation`.

    Raises:
        CovidlitError: damaged, cut off, not one volume of single values, or with an orientation
            that is missing (and not given) or contradicts itself.
    """
    headers, voxels = pair_of(path)
    with opened(headers) as file:
        header = _header(file, headers)
        shape = _shape(header, path)
        kind = _kind(header, path)
        notes: list[str] = []
        affine = _affine(header, shape, orientation, path, notes)
        if voxels == headers:
            values = _values(file, int(header["vox_offset"]), shape, kind, path)
    if voxels != headers:
        offset = int(_number(header, "vox_offset"))
        with opened(voxels) as file:
            values = _values(file, offset, shape, kind, voxels)
    array = _scaled(values, header, path, notes)
    labels = _number(header, "intent_code") == _LABELS
    return NiftiImage(array, affine[:, [2, 1, 0, 3]], tuple(notes), labels)


def pair_of(path: Path) -> tuple[Path, Path]:
    """The files with the header and with the voxels: one and the same, or a pair."""
    name = path.name
    lower = name.lower()
    for own, other in ((".hdr", ".img"), (".img", ".hdr")):
        for packed in ("", ".gz"):
            if lower.endswith(own + packed):
                stem = name[: len(name) - len(own + packed)]
                twins = [path.with_name(stem + end) for end in (other, other.upper())]
                twins += [twin.with_name(twin.name + ".gz") for twin in twins]
                twin = next((file for file in twins if file.is_file()), None)
                if twin is not None:
                    return (path, twin) if own == ".hdr" else (twin, path)
    return path, path


def _header(file: IO[bytes], where: Path) -> Any:
    """The header as nibabel parses it, in either order of bytes; nothing in it is believed yet."""
    import nibabel as nib

    head = file.read(540)
    is_nifti2 = len(head) >= 540 and 540 in {
        int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")
    }  # fmt: skip
    kind: Any = nib.Nifti1Header
    if is_nifti2:
        kind = nib.Nifti2Header
    elif head[344:347] not in (b"n+1", b"ni1"):
        kind = nib.AnalyzeHeader
    if len(head) < (540 if is_nifti2 else 348):
        raise CovidlitError(
            "cannot be read as an image: the header is cut off.",
            where=where,
            fix="copy it again from its source.",
        )
    return kind.from_fileobj(io.BytesIO(head), check=False)


def _number(header: Any, name: str) -> float:
    """A field of the header, 0 where its format has none."""
    return float(header[name]) if name in header.keys() else 0.0  # noqa: SIM118 (no mapping)


def _shape(header: Any, where: Path) -> tuple[int, int, int]:
    """The size (x, y, z).

    Raises:
        CovidlitError: not one 3D volume.
    """
    dim = [int(n) for n in header["dim"]]
    sizes = dim[1 : dim[0] + 1] if 1 <= dim[0] <= 7 else []
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) != 3 or min(sizes) < 1:
        more = f", {np.prod(sizes[3:]):.0f} volumes in one file (4D)" if len(sizes) > 3 else ""
        raise CovidlitError(
            f"needs one 3D volume of single values; this has size {tuple(sizes)}{more}.",
            where=where,
            fix="write each volume into a file of its own." if more else "convert it again.",
        )
    return sizes[0], sizes[1], sizes[2]


def _kind(header: Any, where: Path) -> np.dtype[Any]:
    try:
        kind: np.dtype[Any] = header.get_data_dtype()
    except Exception:  # nibabel's own errors: the code is unknown
        kind = np.dtype("V1")
    if kind.kind not in "iuf":
        names = getattr(kind, "names", None)
        what = "colours (RGB)" if names else {"c": "complex numbers"}.get(kind.kind, "no numbers")
        raise CovidlitError(
            f"needs one 3D volume of single values; this holds {what}"
            + (f", {counted(len(names), 'component')} a voxel." if names else "."),
            where=where,
            fix="use the CT itself, not a picture made of it.",
        )
    return kind


def _values(
    file: IO[bytes], offset: int, shape: tuple[int, int, int], kind: np.dtype[Any], where: Path
) -> NDArray[Any]:
    """The stored values (z, y, x), read from where the file stands to where it ends.

    Raises:
        CovidlitError: cut off, or the header claims more than the file can hold.
    """
    wanted = int(np.prod(shape, dtype=object)) * kind.itemsize
    packed = where.stat().st_size
    if wanted > packed * _MOST_DEFLATED:
        raise CovidlitError(
            f"the file is cut off, or its header is damaged: it has {packed} bytes, and the header "
            f"claims {wanted} of voxels.",
            where=where,
            fix="copy it again from its source.",
        )
    if problem := over_limit(wanted, "its header"):
        raise CovidlitError(f"{problem}.", where=where)
    file.seek(max(0, offset))
    values: Any = np.empty(shape[::-1], kind)
    buffer, got = memoryview(values).cast("B"), 0
    while got < wanted and (n := file.readinto(buffer[got:])):  # type: ignore[attr-defined]
        got += n
    if got < wanted:
        raise CovidlitError(
            f"the file is cut off, or its header is damaged: it holds {got} of the {wanted} bytes "
            "that the header claims.",
            where=where,
            fix="copy it again from its source.",
        )
    while file.read(1 << 20):  # to the end, where gzip keeps its check sum
        pass
    return values if kind.isnative else values.astype(kind.newbyteorder("="))


def _scaled(values: NDArray[Any], header: Any, where: Path, notes: list[str]) -> NDArray[Any]:
    """The values as the header scales them; a factor of 0 or NaN means that it does not."""
    slope, inter = _number(header, "scl_slope"), _number(header, "scl_inter")
    if not np.isfinite(slope) or slope == 0:
        if np.isfinite(inter) and inter != 0:
            notes.append(
                f"scl_inter {inter:g} beside scl_slope {slope:g} was not applied, by the format"
            )
        return values
    if not np.isfinite(inter):
        raise CovidlitError(
            f"its values cannot be scaled: scl_slope is {slope:g} and scl_inter {inter:g}.",
            where=where,
            fix="convert it again from DICOM.",
        )
    if (slope, inter) == (1.0, 0.0):
        return values
    whole = values.dtype.kind in "iu" and values.dtype.itemsize <= 2
    if whole and slope.is_integer() and inter.is_integer() and abs(slope) + abs(inter) < 30000:
        return values.astype(np.int32) * int(slope) + int(inter)
    exact: Any = values.astype(np.float64 if values.dtype.itemsize > 4 else np.float32)
    scaled: NDArray[Any] = exact * slope + inter
    return scaled


def _affine(
    header: Any,
    shape: tuple[int, int, int],
    orientation: str | None,
    where: Path,
    notes: list[str],
) -> NDArray[np.float64]:
    """The affine, index (x, y, z) to LPS mm."""
    unit, factor = _UNITS.get(int(_number(header, "xyzt_units")) & 7, ("", 1.0))
    if unit:
        notes.append(f"its lengths are in {unit}: converted to mm")
    sizes = np.abs(np.asarray(header["pixdim"], np.float64)[1:4])
    sform, qform = _sform(header), _qform(header, sizes, where)
    codes = int(_number(header, "sform_code")), int(_number(header, "qform_code"))
    if sform is not None and qform is not None and codes[0] in _TEMPLATES and codes[1] in (1, 2):
        notes.append(
            f"its sform leads to a template (code {codes[0]}), not to the patient: the qform was "
            "taken"
        )
        sform = None
    elif sform is None and codes[0] > 0 and qform is not None:
        notes.append("its sform is no orientation (singular or not finite): the qform was taken")
    chosen = sform if sform is not None else qform
    if chosen is None or (qform is not None and _turned(chosen, qform)):
        if orientation is None:
            raise _no_orientation(header, codes, chosen is not None, where)
        if not (np.isfinite(sizes).all() and (sizes > 0).all()):
            raise CovidlitError(
                f"its voxel sizes are {_sizes(sizes)}, and nothing else says how large it is.",
                where=where,
                fix="convert it again from DICOM.",
            )
        notes.append(f"its orientation was stated as {orientation.upper()}, not read")
        x, y, z = (sizes * factor).tolist()
        return stated_affine(orientation, (x, y, z), shape)
    if sform is not None:
        chosen = _against_sizes(sform, sizes, where, notes)
        if qform is not None and (apart := _apart(chosen, qform, shape) * factor) > _APART_MM:
            notes.append(
                f"sform and qform put voxels up to {apart:.0f} mm apart: the sform was taken"
            )
    affine = _LPS @ chosen
    affine[:3] *= factor
    return affine


def _sform(header: Any) -> NDArray[np.float64] | None:
    if _number(header, "sform_code") <= 0:
        return None
    affine = np.eye(4)
    affine[:3] = [header["srow_x"], header["srow_y"], header["srow_z"]]
    usable = np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 1e-12
    return affine if usable else None


def _qform(header: Any, sizes: NDArray[np.float64], where: Path) -> NDArray[np.float64] | None:
    """None where there is none; where the sform is missing too, a wrong one is an error."""
    if _number(header, "qform_code") <= 0:
        return None
    fields = [_number(header, f"quatern_{letter}") for letter in "bcd"]
    offsets = [_number(header, f"qoffset_{letter}") for letter in "xyz"]
    b, c, d = fields
    rest = 1 - (b * b + c * c + d * d)
    usable = np.isfinite([*fields, *offsets, *sizes]).all() and (sizes > 0).all() and rest > -1e-3
    if not usable:
        if _sform(header) is not None:
            return None
        raise CovidlitError(
            f"its orientation cannot be used: qform with the quaternion {fields} and voxel sizes "
            f"{_sizes(sizes)}.",
            where=where,
            fix="convert it again from DICOM.",
        )
    a = np.sqrt(max(0.0, rest))
    if rest < 0:
        b, c, d = np.array(fields) / np.linalg.norm(fields)
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    handed = -1.0 if float(header["pixdim"][0]) < 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = rotation * (sizes * [1, 1, handed])
    affine[:3, 3] = offsets
    return affine


def _against_sizes(
    sform: NDArray[np.float64], sizes: NDArray[np.float64], where: Path, notes: list[str]
) -> NDArray[np.float64]:
    """The sform, held against the voxel sizes (pixdim) that the same header gives.

    Raises:
        CovidlitError: the sform gives directions alone, of length 1.
    """
    own = np.linalg.norm(sform[:3, :3], axis=0)
    if np.allclose(own, sizes, rtol=_ALIKE):
        return sform
    if np.allclose(own, 1, rtol=1e-4) and (sizes > 0).all():
        raise CovidlitError(
            f"sform and voxel sizes disagree: the sform gives directions of length 1, pixdim says "
            f"{_sizes(sizes)} mm, so its scale is not known.",
            where=where,
            fix="write an sform with the spacing in it, or convert it again from DICOM.",
        )
    notes.append(
        f"voxel sizes disagree: {_sizes(own)} by the sform, which was taken, {_sizes(sizes)} by "
        "pixdim"
    )
    return sform


def _turned(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two affines let an axis run to different sides of the patient."""
    return any(
        int(np.abs(a).argmax()) != int(np.abs(b).argmax()) or float(a @ b) < 0
        for a, b in zip(one[:3, :3].T, other[:3, :3].T, strict=True)
    )


def _apart(
    one: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, int, int]
) -> float:
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    moved = (one - other)[:3, :3] @ corners + (one - other)[:3, 3:]
    return float(np.linalg.norm(moved, axis=0).max())


def _no_orientation(
    header: Any, codes: tuple[int, int], contradicts: bool, where: Path
) -> CovidlitError:
    if contradicts:
        what = "sform and qform turn the image differently, so left and right are not known"
    elif "sform_code" in header.keys():  # noqa: SIM118 (no mapping)
        what = f"its orientation is not known (sform_code {codes[0]}, qform_code {codes[1]})"
    else:
        what = "its orientation is not known: an Analyze header does not say it"
    return CovidlitError(
        f"no_orientation: {what}; state it with image_orientation, such as LPS (as a DICOM stack) "
        "or LAS (as Analyze lays down), or convert it again from DICOM.",
        where=where,
    )


def _sizes(sizes: NDArray[np.float64]) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes)
