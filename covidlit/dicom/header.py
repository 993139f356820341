"""From the raw elements of one file to an ImageFile with its frames."""

from __future__ import annotations

from pathlib import Path

from pydicom.charset import convert_encodings, decode_bytes

from covidlit.dicom.elements import Elements
from covidlit.dicom.frames import enhanced_frames, make_frame
from covidlit.dicom.parse import NotDicomError, read_elements
from covidlit.dicom.series import Frame, ImageFile
from covidlit.dicom.transfer_syntax import end_of_fragments, is_encapsulated, no_decoder
from covidlit.errors import DicomError

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
CT_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2",  # CT Image Storage
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT Image Storage
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT Image Storage
    }
)
_CLASSIC_CT = "1.2.840.10008.5.1.4.1.1.2"
FACT_TAGS = {
    "manufacturer": 0x00080070,
    "model": 0x00081090,
    "kvp": 0x00180060,
    "exposure_mas": 0x00181152,
    "sex": 0x00100040,
    "age": 0x00101010,
    "birth_date": 0x00100030,
    "acquisition_date": 0x00080022,
    "acquisition_datetime": 0x0008002A,
    "content_date": 0x00080023,
    "series_date": 0x00080021,
    "study_date": 0x00080020,
    "volume_technique": 0x00089207,
    "body_part": 0x00180015,
}
_WANTED = frozenset(
    {
        0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080060, 0x00100020, 0x00180050,
        0x00180088, 0x00181120, 0x00181210, 0x0020000D, 0x0020000E, 0x00200013, 0x00200032,
        0x00200037, 0x00200052, 0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011,
        0x00280030, 0x00280100, 0x00280101, 0x00280103, 0x00280120, 0x00280121, 0x00281052,
        0x00281053, *FACT_TAGS.values(),
    }
)  # fmt: skip


class DirectoryFileError(NotDicomError):
    """The file is a DICOMDIR: DICOM, but an index and not an image."""


def read_header(path: Path) -> ImageFile:
    """Read the header of one DICOM image file, without its pixels.

    Raises:
        NotDicomError: not a DICOM file, or one without an image (a report, a structure set).
        DirectoryFileError: a DICOMDIR.
        DicomError: damaged or encrypted.
        Exception: pydicom may raise nearly anything on a damaged file; `find_series` guards.
    """
    elements = read_elements(path, _WANTED)
    if elements.text(0x00020002) == DICOMDIR_CLASS or path.name.upper() == "DICOMDIR":
        raise DirectoryFileError("a DICOMDIR")
    sop_class = elements.text(0x00080016) or elements.text(0x00020002)
    modality, series_uid = elements.text(0x00080060).upper(), elements.text(0x0020000E)
    rows = elements.word(0x00280010, "Rows") or 0
    columns = elements.word(0x00280011, "Columns") or 0
    may_be_ct = modality in ("", "CT") and not is_other_class(sop_class)
    if not (rows or columns or elements.pixel_tag or may_be_ct or sop_class in CT_CLASSES):
        raise NotDicomError("a DICOM object without an image")
    if not series_uid:
        raise DicomError(
            "damaged: no SeriesInstanceUID can be read.",
            fix="fetch the file again from its source.",
        )
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
        patient_id=_text_of_person(elements),
        facts={name: elements.text(tag) for name, tag in FACT_TAGS.items()},
    )
    if sop_class in CT_CLASSES - {_CLASSIC_CT} or image.n_frames > 1:
        image.frames = enhanced_frames(image, _classic_frame(image, elements))
    else:
        image.frames = [_classic_frame(image, elements)]
    image.damage = _damage(image, elements)
    return image


def is_other_class(sop_class: str) -> bool:
    """Whether a SOP class is a known kind of object other than a CT image."""
    return sop_class.startswith("1.2.840.10008.5.1.4.1.1.") and sop_class not in CT_CLASSES


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
        invalid=elements.invalid,
    )


def _padding(elements: Elements) -> tuple[int, int] | None:
    """PixelPaddingValue and PixelPaddingRangeLimit as unsigned words; None without padding."""
    value = elements.word(0x00280120, "PixelPaddingValue")
    if value is None:
        return None
    limit = elements.word(0x00280121, "PixelPaddingRangeLimit")
    return value, value if limit is None else limit


def _text_of_person(elements: Elements) -> str:
    raw = elements.values.get(0x00100020, b"").strip(b" \0")
    if raw.isascii():
        return raw.decode("ascii")
    encodings = convert_encodings(list(elements.texts(0x00080005)) or "ISO_IR 100")
    return decode_bytes(raw, encodings, set()).strip()


def _damage(image: ImageFile, elements: Elements) -> str:
    """Why the pixels cannot be read, as far as header and file size tell; empty where they can."""
    if elements.invalid:
        return f"unreadable value of {', '.join(elements.invalid)}"
    if not image.rows or not image.columns:
        return "no Rows or Columns"
    if elements.pixel_tag == 0:
        return "no pixel data: the file ends before it"
    if elements.pixel_tag != 0x7FE00010:
        return "floating-point pixel data, which CT does not have"
    if image.samples != 1:
        return f"{image.samples} samples per pixel (a colour image)"
    if (
        image.bits_allocated not in (8, 16, 32)
        or not 1 <= image.bits_stored <= image.bits_allocated
    ):
        return f"{image.bits_stored} of {image.bits_allocated} bits stored"
    if image.photometric not in ("MONOCHROME1", "MONOCHROME2", ""):
        return f"photometric interpretation {image.photometric}"
    if image.pixel_offset < 0:
        return ""
    if image.pixel_length >= 0:
        if is_encapsulated(image.transfer_syntax):
            return "compressed pixel data without fragments"
        expected = image.rows * image.columns * image.bits_allocated // 8 * image.n_frames
        there = min(image.pixel_length, image.size - image.pixel_offset)
        if there < expected:
            return f"truncated: {there} of {expected} bytes of pixel data"
        return ""
    if not is_encapsulated(image.transfer_syntax):
        return "fragments in an uncompressed transfer syntax"
    if problem := no_decoder(image.transfer_syntax):
        return problem
    if image.n_frames == 1 and end_of_fragments(image.path, image.pixel_offset) is None:
        return "truncated: the compressed pixel data does not end"
    return ""
