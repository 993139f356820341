"""Checks on what the headers say of the values: units, rescale, padding, what lies in the pixels.

Most need the headers alone. Where slices of a series differ in rescale, or where padding stands
amid the values of tissue, which scanners hardly do, the pixels of a few slices decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from covidlit.dicom.damage import excess_bytes, pixel_bytes
from covidlit.dicom.pixels import decode_problem, padding_ends
from covidlit.dicom.series import Frame, ImageFile
from covidlit.dicom.spacing import Report
from covidlit.dicom.wording import name_some

# RescaleType as the standard writes it, what others write for the same, and US (unspecified), which
# says no more than its absence and stands in sound CTs.
_HU_TYPES = frozenset(
    {"", "US", "HU", "HOUNSFIELD", "HOUNSFIELD UNIT", "HOUNSFIELD UNITS", "[HNSF'U]"}
)
# Value 4 of ImageType in multi-energy CT, where the values are something else by default.
# DICOM PS3.3, section C.8.2.1.1.1.
_NOT_HU_KINDS = frozenset(
    {
        "MAT_SPECIFIC", "MAT_REMOVED", "MAT_FRACTIONAL", "MAT_MODIFIED", "MAT_VALUE_BASED",
        "EFF_ATOMIC_NUM", "ELECTRON_DENSITY",
    }
)  # fmt: skip
_LOWEST_AIR_HU = -500.0
"""A chest CT holds air; one whose values cannot fall below this does not."""
_PADDED_TISSUE_HU = (-950.0, 3000.0)
_WIDEST_PADDED_TISSUE_HU = 200.0
_N_TRIED = 9
_FEW_KINDS = 3
_BESIDE = 3  # slices; what lies farther apart may differ
_PERCENTILES = (5, 25, 50, 75, 95)


def check_units(frames: Sequence[Frame], report: Report, notes: list[str]) -> None:
    """Refuse (`not_hu`) slices whose headers lead to another unit than HU."""
    reasons = {frame: why for frame in frames if (why := _other_unit(frame))}
    if not reasons and (why := _no_room_for_air(frames)):
        reasons = dict.fromkeys(frames, why)
    if reasons:
        listed = "; ".join(list(dict.fromkeys(reasons.values()))[:3])
        report(
            "not_hu",
            f"{_share(len(reasons), len(frames), 'slice')} not in Hounsfield units ({listed}; "
            f"{next(iter(reasons)).name}); choose the series in HU, or restore its rescale",
            "its values are not Hounsfield units",
        )
    types = sorted({frame.rescale_type for frame in frames} - {"HU", ""})
    if types and not reasons:
        notes.append(f"RescaleType {', '.join(types)} taken as HU")
    untyped = [frame.name for frame in frames if not frame.rescale_type]
    typed = [frame.name for frame in frames if frame.rescale_type]
    if untyped and typed:
        missing = len(untyped) <= len(typed)
        few = untyped if missing else typed
        notes.append(
            f"RescaleType {'is missing' if missing else 'stands only'} in {name_some(few)} "
            f"({len(few)} of {len(frames)} slices): all taken as HU"
        )


def check_files(images: Sequence[ImageFile], report: Report, notes: list[str]) -> None:
    """Pixel data larger than the slices, and what headers say that a reader should know."""
    large = [image for image in images if excess_bytes(image)]
    if large:
        first = large[0]
        report(
            "pixel_data_length",
            f"{_share(len(large), len(images))} longer than their pixels ({first.path.name}: "
            f"{first.pixel_length} bytes, Rows {first.rows} x Columns {first.columns}"
            f"{f' x NumberOfFrames {first.n_frames}' if first.n_frames > 1 else ''} take "
            f"{pixel_bytes(first)}); correct these elements, or export the series again",
            "the first bytes were read",
        )
    bits = sorted({image.bits_stored for image in images})
    if len(bits) > 1:
        notes.append(
            f"BitsStored differs from slice to slice ({bits[0]} to {bits[-1]}): each slice was "
            "read by its own"
        )
    odd = Counter(image.declared_syntax for image in images if image.declared_syntax)
    for syntax, count in odd.items():
        image = next(image for image in images if image.declared_syntax == syntax)
        notes.append(
            f"{count} of {len(images)} files are not encoded as their TransferSyntaxUID {syntax} "
            f"says, but as {image.transfer_syntax or 'implicit VR in big endian'}: read so"
        )
    for name, chosen in (
        ("BurnedInAnnotation is YES: text may stand in the pixels", lambda one: one.burned_in),
        ("LossyImageCompression is 01: values are close to the originals", lambda one: one.lossy),
        (
            "PhotometricInterpretation is MONOCHROME1, which is about display: values taken as "
            "they are",
            lambda one: one.photometric == "MONOCHROME1",
        ),
    ):
        count = sum(map(chosen, images))
        if count:
            notes.append(f"{name} (in {count} of {len(images)} files)")


def check_rescale(frames: Sequence[Frame], report: Report, notes: list[str]) -> None:
    """Refuse (`inconsistent_rescale`) slices whose own rescale fits less than the others'.

    Scanners may rescale each slice for itself, and values then go on from slice to slice. A slope
    or intercept that was damaged lets them jump, and with the others' they would go on.

    Args:
        frames: sorted along the normal, one per position.
    """
    kinds = Counter((frame.slope, frame.intercept) for frame in frames)
    if len(kinds) == 1:
        return
    usual, count = kinds.most_common(1)[0]
    odd = [frame.name for frame in frames if (frame.slope, frame.intercept) != usual]
    named = f" ({name_some(odd)} unlike the others)" if len(odd) < count else ""
    notes.append(
        f"RescaleSlope or RescaleIntercept differ from slice to slice{named}: each slice was read "
        "with its own"
    )
    if 2 * count <= len(frames) and len(kinds) > _FEW_KINDS:
        return  # each slice its own, as some converters write
    levels = _Levels(frames)
    regular = [k for k, frame in enumerate(frames) if (frame.slope, frame.intercept) == usual]
    jumps = []
    for k, frame in enumerate(frames):
        if (frame.slope, frame.intercept) == usual:
            continue
        place = int(np.searchsorted(regular, k))
        near_by = [j for j in regular[max(0, place - 1) : place + 1] if abs(j - k) <= _BESIDE]
        beside = [levels.of(j) for j in near_by]
        own, other = levels.of(k), levels.of(k, *usual)
        near = [one for one in beside if one is not None]
        if own is None or other is None or not near:
            continue  # undecodable: found, and named, as it is read
        expected = np.mean(near, axis=0)
        if np.abs(other - expected).mean() < np.abs(own - expected).mean():
            jumps.append(frame)
    if jumps:
        first = jumps[0]
        report(
            "inconsistent_rescale",
            f"{_share(len(jumps), len(frames), 'slice')} rescaled unlike the slices beside, which "
            f"their values do not bear out ({first.name}: RescaleSlope {_number(first.slope)} and "
            f"RescaleIntercept {_number(first.intercept)}, the others {_number(usual[0])} and "
            f"{_number(usual[1])}); correct them, or export the series again",
            "each was read with its own",
        )


def check_padding(frames: Sequence[Frame], report: Report) -> list[Frame]:
    """Refuse (`padding_in_tissue`) a padding value that stands in the body as well.

    Padding lies outside the field of view, from the image's edge inwards. A padding value amid
    those of tissue that also stands apart from the edge is one that the body has.

    Returns:
        The slices; where the check is overridden, those concerned take no value as padding.
    """
    doubtful = [frame for frame in frames if _pads_tissue(frame)]
    if not doubtful:
        return list(frames)
    step = max(1, len(doubtful) // _N_TRIED)
    found = {frame: n for frame in doubtful[step // 2 :: step] if (n := _padded_inside(frame))}
    if not found:
        return list(frames)
    worst = max(found, key=lambda frame: found[frame])
    low, high = padding_ends(worst.source) or (0, 0)
    range_limit = "" if low == high else f" with PixelPaddingRangeLimit ({low} to {high})"
    report(
        "padding_in_tissue",
        f"PixelPaddingValue {low if low == high else worst.source.padding}{range_limit} is a value "
        f"of tissue, {_to_hu(worst, low):g} HU: {found[worst]} voxels inside {worst.name} would "
        "become air; remove or correct this element",
        "no value was taken as padding",
    )
    concerned = set(doubtful)
    return [replace(f, ignores_padding=True) if f in concerned else f for f in frames]


class _Levels:
    """Percentiles of the HU of slices, read once each."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames
        self.known: dict[tuple[object, ...], NDArray[np.float64] | None] = {}

    def of(self, k: int, *rescale: float | None) -> NDArray[np.float64] | None:
        """Of slice `k` with its own rescale or another one; None where it does not decode."""
        if (k, *rescale) not in self.known:
            frame = self.frames[k]
            if rescale:
                frame = replace(frame, slope=rescale[0], intercept=rescale[1])
            hu = np.empty((frame.source.rows, frame.source.columns), np.int16)
            problem = decode_problem([frame], [hu])
            self.known[(k, *rescale)] = None if problem else np.percentile(hu, _PERCENTILES)
        return self.known[(k, *rescale)]


def _other_unit(frame: Frame) -> str:
    """Why a slice is not in HU by its header; empty where it is."""
    kind = frame.rescale_type.strip().upper()
    if kind not in _HU_TYPES:
        return f"RescaleType is {frame.rescale_type}"
    if frame.source.modality_lut:
        return "ModalityLUTSequence, a table, stands in for the rescale"
    if frame.other_unit:
        return frame.other_unit
    named = _NOT_HU_KINDS & {value.upper() for value in frame.source.image_type}
    if named and kind in ("", "US"):
        return f"ImageType is {', '.join(named)}, and no RescaleType says HU"
    if frame.slope is not None and frame.slope < 0:
        return f"RescaleSlope is {frame.slope:g}"
    return ""


def _no_room_for_air(frames: Sequence[Frame]) -> str:
    """Why no stored value can mean air, by bits, sign and rescale; empty where one can."""
    kinds = {(f.source.bits_stored, f.source.signed, f.slope, f.intercept): f for f in frames}
    if not kinds:
        return ""
    lowest, frame = min(
        (
            (_to_hu(frame, -(1 << bits - 1) if signed else 0), frame)
            for (bits, signed, *_), frame in kinds.items()
        ),
        key=lambda pair: pair[0],
    )
    if lowest <= _LOWEST_AIR_HU:
        return ""
    sign = "signed" if frame.source.signed else "unsigned"
    return (
        f"no value can be below {lowest:g}, where air is -1000: PixelRepresentation is {sign} "
        f"with RescaleIntercept {_number(frame.intercept)} and RescaleSlope {_number(frame.slope)}"
    )


def _pads_tissue(frame: Frame) -> bool:
    """Whether padding covers values of tissue."""
    ends = padding_ends(frame.source)
    if ends is None:
        return False
    low, high = sorted(_to_hu(frame, end) for end in ends)
    return high > _PADDED_TISSUE_HU[0] and low < _PADDED_TISSUE_HU[1]


def _padded_inside(frame: Frame) -> int:
    """How many voxels of a slice become air by padding that hangs together with no edge of it.

    Of padding that covers many values of tissue, all count: the body touches the edge by them.
    """
    shape = (frame.source.rows, frame.source.columns)
    with_padding, without = np.empty(shape, np.int16), np.empty(shape, np.int16)
    ignoring = replace(frame, ignores_padding=True)
    if decode_problem([frame, ignoring], [with_padding, without]):
        return 0  # undecodable: found, and named, as it is read
    padded = with_padding != without
    low, high = padding_ends(frame.source) or (0, 0)
    if _to_hu(frame, high) - _to_hu(frame, low) > _WIDEST_PADDED_TISSUE_HU:
        return int(padded.sum())
    regions, _ = ndimage.label(padded)
    edges = (regions[0], regions[-1], regions[:, 0], regions[:, -1])
    outside = np.unique(np.concatenate(edges))
    return int((~np.isin(regions, outside) & (regions > 0)).sum())


def _to_hu(frame: Frame, stored: float) -> float:
    slope = 1.0 if frame.slope is None else frame.slope
    return stored * slope + (frame.intercept or 0.0)


def _number(value: float | None) -> str:
    return "missing" if value is None else f"{value:g}"


def _share(some: int, everything: int, what: str = "file") -> str:
    if everything == 1:
        return f"the {what} is"
    return f"{'all' if some == everything else f'{some} of'} {everything} {what}s are"
