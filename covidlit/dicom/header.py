"""From the raw elements of one file to an ImageFile with its frames."""

from __future__ import annotations

import struct
from pathlib import Path

from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.config import IGNORE
from pydicom.uid import UID

from covidlit.dicom.damage import damage_of
from covidlit.dicom.elements import Elements
from covidlit.dicom.frames import enhanced_frames, make_frame, with_real_world_unit
from covidlit.dicom.parse import NoImageError, NotDicomError, read_elements
from covidlit.dicom.series import Frame, ImageFile
from covidlit.errors import DicomError

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
CT_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2",  # CT Image Storage
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT Image Storage
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT Image Storage
    }
)
_DIRECTORY_NAMES = ("DICOMDIR", "DIRFILE")
_CLASSIC_CT = "1.2.840.10008.5.1.4.1.1.2"
UNFIT_PATIENT_ID = "unfit_patient_id"
"""Under this name an ImageFile's facts say that PatientID does not fit its character set."""
_MODALITY_LUT = 0x00283000
_REAL_WORLD_VALUES = 0x00409096
_OVERLAY_BITS = frozenset(0x60000102 + (k << 17) for k in range(16))  # OverlayBitPosition
FACT_TAGS = {
    "manufacturer": 0x00080070,
    "model": 0x00081090,
    "kvp": 0x00180060,
    "exposure_mas": 0x00181152,
    "exposure_time_ms": 0x00181150,
    "tube_current_ma": 0x00181151,
    "calibrated": 0x00181200,
    "sex": 0x00100040,
    "age": 0x00101010,
    "birth_date": 0x00100030,
    "acquisition_date": 0x00080022,
    "acquisition_datetime": 0x0008002A,
    "content_date": 0x00080023,
    "series_date": 0x00080021,
    "study_date": 0x00080020,
    "volume_technique": 0x00089207,
    "series_number": 0x00200011,
    "acquisition_number": 0x00200012,
    "acquisition_time": 0x00080032,
    "temporal_position": 0x00200100,
    "trigger_time": 0x00181060,
    "body_part": 0x00180015,
    "identity_removed": 0x00120062,
    "deidentification": 0x00120063,
    "dates_modified": 0x00280303,
}
_CARDIAC_PHASE = 0x00209241  # in percent; binary, unlike the facts
_WANTED = frozenset(
    {
        0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080060, 0x00100020, 0x00180050,
        0x00180088, 0x00181120, 0x00181210, 0x0020000D, 0x0020000E, 0x00200013, 0x00200032,
        0x00200037, 0x00200052, 0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011,
        0x00280030, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280120, 0x00280121,
        0x00280301, 0x00281052, 0x00281053, 0x00281054, 0x00282110, _MODALITY_LUT,
        _REAL_WORLD_VALUES, _CARDIAC_PHASE, *_OVERLAY_BITS, *FACT_TAGS.values(),
    }
)  # fmt: skip


class DirectoryFileError(NotDicomError):
    """The file is a DICOMDIR: DICOM, but an index and not an image."""


def read_header(path: Path) -> ImageFile:
    """Read the header of one DICOM image file, without its pixels.

    Raises:
        NotDicomError: not a DICOM file, or one without an image (a report, a structure set).
        DirectoryFileError: a DICOMDIR.
        DicomError: damaged or encrypted; a SeriesInstanceUID that is missing is no error here.
        Exception: pydicom may raise nearly anything on a damaged file; `find_series` guards.
    """
    elements = read_elements(path, _WANTED)
    if elements.text(0x00020002) == DICOMDIR_CLASS or path.name.upper() in _DIRECTORY_NAMES:
        raise DirectoryFileError("a DICOMDIR")
    sop_class = elements.text(0x00080016) or elements.text(0x00020002)
    modality, series_uid = elements.text(0x00080060).upper(), elements.text(0x0020000E)
    rows = elements.word(0x00280010, "Rows") or 0
    columns = elements.word(0x00280011, "Columns") or 0
    may_be_ct = modality in ("", "CT") and not is_other_class(sop_class)
    if not (rows or columns or elements.pixel_tag or may_be_ct or sop_class in CT_CLASSES):
        if not _is_known_class(sop_class):
            raise DicomError(
                "damaged: neither an image nor a known kind of object can be read.",
                fix="fetch the file again from its source.",
            )
        raise NoImageError(series_uid, sop_class)
    patient_id, fits = _patient_id(elements)
    image = ImageFile(
        path=path,
        size=elements.size,
        transfer_syntax=elements.transfer_syntax,
        sop_class=sop_class,
        sop_uid=elements.text(0x00080018),
        modality=modality,
        study_uid=elements.text(0x0020000D),
        series_uid=series_uid,
        frame_of_reference=elements.text(0x00200052),
        image_type=elements.texts(0x00080008),
        rows=rows,
        columns=columns,
        n_frames=max(1, int(elements.number(0x00280008, "NumberOfFrames") or 1)),
        samples=elements.word(0x00280002, "SamplesPerPixel") or 1,
        photometric=elements.text(0x00280004),
        bits_allocated=elements.word(0x00280100, "BitsAllocated") or 0,
        bits_stored=elements.word(0x00280101, "BitsStored") or 0,
        signed=elements.word(0x00280103, "PixelRepresentation") == 1,
        padding=_padding(elements),
        tilt=elements.number(0x00181120, "GantryDetectorTilt"),
        spacing_between_slices=elements.number(0x00180088, "SpacingBetweenSlices"),
        endian=elements.endian,
        pixel_offset=elements.pixel_offset,
        pixel_length=elements.pixel_length,
        patient_id=patient_id,
        facts={name: elements.text(tag) for name, tag in FACT_TAGS.items()},
        declared_syntax=elements.declared,
        modality_lut=bool(elements.values.get(_MODALITY_LUT)),
        real_world_values=bool(elements.values.get(_REAL_WORLD_VALUES)),
        burned_in=elements.text(0x00280301).upper() == "YES",
        lossy=elements.text(0x00282110) == "01",
        overlay_bits=tuple(
            elements.word(tag, "OverlayBitPosition") or 0
            for tag in elements.values.keys() & _OVERLAY_BITS
        ),
    )
    if len(phase := elements.values.get(_CARDIAC_PHASE, b"")) == 4:
        image.facts["phase"] = f"{struct.unpack(elements.endian + 'f', phase)[0]:g}"
    if not fits:
        image.facts[UNFIT_PATIENT_ID] = "1"
    if sop_class in CT_CLASSES - {_CLASSIC_CT} or image.n_frames > 1:
        image.frames = enhanced_frames(image, _classic_frame(image, elements))
    else:
        frame = _classic_frame(image, elements)
        image.frames = [with_real_world_unit(frame) if image.real_world_values else frame]
    image.damage = damage_of(image, elements)
    return image


def is_other_class(sop_class: str) -> bool:
    """Whether a SOP class is a known kind of object other than a CT image."""
    return sop_class.startswith("1.2.840.10008.5.1.4.1.1.") and sop_class not in CT_CLASSES


def _is_known_class(sop_class: str) -> bool:
    """Whether a UID may be that of a SOP class: one of DICOM's, or a maker's own."""
    uid = UID(sop_class, validation_mode=IGNORE)
    return uid.is_valid and (uid.is_private or uid.name != uid)


def _classic_frame(image: ImageFile, elements: Elements) -> Frame:
    instance = elements.number(0x00200013, "InstanceNumber")
    return make_frame(
        image,
        index=0,
        position=elements.numbers(0x00200032, "ImagePositionPatient", 3),
        orientation=elements.numbers(0x00200037, "ImageOrientationPatient", 6),
        pixel_spacing=elements.numbers(0x00280030, "PixelSpacing", 2),
        slope=elements.number(0x00281053, "RescaleSlope"),
        intercept=elements.number(0x00281052, "RescaleIntercept"),
        thickness=elements.number(0x00180050, "SliceThickness"),
        instance=None if instance is None else int(instance),
        kernel=elements.text(0x00181210),
        rescale_type=elements.text(0x00281054),
        invalid=elements.invalid,
    )


def _padding(elements: Elements) -> tuple[int, int] | None:
    """PixelPaddingValue and PixelPaddingRangeLimit as unsigned words; None without padding."""
    value = elements.word(0x00280120, "PixelPaddingValue")
    if value is None:
        return None
    limit = elements.word(0x00280121, "PixelPaddingRangeLimit")
    return value, value if limit is None else limit


def _patient_id(elements: Elements) -> tuple[str, bool]:
    """PatientID as text, and whether its bytes fit SpecificCharacterSet.

    Those that do not are taken for UTF-8 or else for Latin-1, which has a character for each byte:
    with one mark in place of all of them, two patients would become one.
    """
    raw = elements.values.get(0x00100020, b"").strip(b" \0")
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii"), True
    text = _decoded(raw, elements.texts(0x00080005) or ("ISO_IR 100",))
    if text is not None:
        return text.strip(), True
    guess = _decoded(raw, ("ISO_IR 192",))
    return raw.decode("latin-1") if guess is None else guess, False


def _decoded(raw: bytes, charset: tuple[str, ...]) -> str | None:
    """Bytes in a SpecificCharacterSet (PS3.3, C.12.1.1.2); None where they do not fit it."""
    names = [python_encoding.get(name) for name in charset]
    if None in names:
        return None
    try:
        if len(charset) == 1:
            return raw.decode(str(names[0]))
        text = decode_bytes(raw, convert_encodings(list(charset)), set())
    except (UnicodeError, LookupError):
        return None
    return None if "\ufffd" in text else text
