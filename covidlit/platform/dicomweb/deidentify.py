"""A header freed of who the patient is; pixels stay as they are, and what is burnt into them too.

Source: DICOM PS3.15, annex E; see `kept` for what stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import UID, UID_dictionary
from pydicom.valuerep import PersonName

from covidlit.dicom import pseudonym_uid
from covidlit.platform.dicomweb.kept import (
    CODED_TERMS,
    CODES,
    DATES,
    NO_NUMBERS,
    NUMBERS,
    OWN_TEXTS,
    SEQUENCES,
    TABLES,
    TEXTS,
)
from covidlit.platform.registry.models import Identity, Patient
from covidlit.platform.sending.dicom_objects import LABEL_MAP

PIXEL_DATA = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_CODED = re.compile(r"[A-Z0-9_ ]{0,16}")
_DAY = re.compile(r"[0-9]{8}")
_EMPTY = (
    "PatientBirthDate", "PatientSex", "StudyTime", "AccessionNumber", "ReferringPhysicianName",
    "StudyID",
)  # fmt: skip
"""What an object must have, and may leave empty (type 2)."""

_METHOD = "covidlit: PS3.15 basic profile, dates kept, pixels unchanged"
_PROFILES = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
)
_DEEPEST = 16
_MANY = (MultiValue, list, tuple)


@dataclass(frozen=True)
class Stranger:
    """How a patient is called for those who may not know who it is.

    Args:
        pseudonym: stands for name and number.
        known: what tells who it is, in small letters: it stays nowhere.
        is_own: whether the object is one that covidlit wrote.
    """

    pseudonym: str
    known: frozenset[str]
    is_own: bool


def stranger(patient: Patient, is_own: bool) -> Stranger:
    """How a patient of the registry is called."""
    identity = Identity.objects.filter(patient=patient).first()
    return Stranger(patient.pseudonym, _known(identity), is_own)


def without_identity(data: Dataset, to: Stranger) -> Dataset:
    """A new data set without what tells who the patient is, nor pixels.

    UIDs are hashes of the true ones, the same for the same one; those that DICOM defines stay.

    Args:
        data: as it was stored; with its file meta information or without.
        to: how the patient is called.
    """
    own = _known_of(data)
    known = Stranger(to.pseudonym, to.known | own, to.is_own)
    found = _cleaned(data, known, 0)
    found.SpecificCharacterSet = "ISO_IR 192"
    found.PatientName = found.PatientID = to.pseudonym
    for name in _EMPTY:
        setattr(found, name, "")
    if "StudyDate" not in found:
        found.StudyDate = ""
    if "PositionReferenceIndicator" in data:
        found.PositionReferenceIndicator = ""
    if "ContentTime" in data:
        found.ContentTime = "000000"  # reports and segmentations must have one
    found.PatientIdentityRemoved = "YES"
    found.DeidentificationMethod = _METHOD
    found.DeidentificationMethodCodeSequence = [_profile(*each) for each in _PROFILES]
    found.LongitudinalTemporalInformationModified = "UNMODIFIED"
    return found


def shown_uid(uid: str) -> str:
    """A UID as strangers see it: one that DICOM defines as it is, of any other the hash."""
    return uid if uid in UID_dictionary or uid == LABEL_MAP else pseudonym_uid(uid)


def _cleaned(data: Dataset, to: Stranger, depth: int) -> Dataset:
    found = Dataset()
    for tag in data.keys():  # noqa: SIM118 (a data set goes through its elements)
        if tag.is_private or not 0x0008 <= tag.group <= 0x5FFF or 0x5000 <= tag.group <= 0x51FF:
            continue
        keyword = keyword_for_tag(tag)
        vr = _vr(tag, keyword)
        try:
            kept = _kept(data, tag, keyword, vr, to, depth)
        except Exception:  # pydicom may raise nearly anything on a damaged value
            continue
        if kept is not None:
            found.add(kept)
    return found


def _vr(tag: Any, keyword: str) -> str:
    """What the dictionary says, and not the file: a name could stand under any."""
    return dictionary_VR(tag) if keyword else ""


def _kept(
    data: Dataset, tag: Any, keyword: str, vr: str, to: Stranger, depth: int
) -> DataElement | None:
    if vr == "SQ":
        if keyword not in SEQUENCES or depth >= _DEEPEST:
            return None
        items = [_cleaned(item, to, depth + 1) for item in data[tag].value]
        return DataElement(tag, "SQ", Sequence(items))
    wanted = _reading(keyword, vr, to)
    if wanted is None:
        return None
    element = data[tag]
    own_vr = element.VR if " or " in vr else vr
    if element.is_empty:
        return DataElement(tag, own_vr, None)
    if keyword in TABLES and isinstance(element.value, bytes):
        return DataElement(tag, own_vr, element.value)
    values = element.value if isinstance(element.value, _MANY) else [element.value]
    kept = [wanted(each) for each in values]
    # Of terms that covidlit wrote none is the patient's name, though one may sound like it.
    told = keyword not in CODED_TERMS or not to.is_own
    if any(each is None for each in kept) or (told and _tells(values, to.known)):
        return None
    return DataElement(tag, own_vr, kept if len(kept) != 1 else kept[0])


def _reading(keyword: str, vr: str, to: Stranger) -> Callable[[Any], Any] | None:
    """How a value of an attribute is kept; None: the attribute goes."""
    if not keyword or keyword in PIXEL_DATA or keyword in NO_NUMBERS:
        return None
    if vr == "UI":
        return lambda uid: UID(shown_uid(str(uid)))
    if keyword in TABLES:
        return int
    if all(part in NUMBERS for part in vr.split(" or ")):
        return _NUMBER_OF.get(vr.split(" or ")[0], int)
    if keyword in CODES:
        return lambda value: value if _CODED.fullmatch(str(value)) else None
    if keyword in TEXTS or keyword in CODED_TERMS or (to.is_own and keyword in OWN_TEXTS):
        return str
    if keyword in DATES:
        return lambda value: str(value) if _DAY.fullmatch(str(value)) else None
    return None


def _written(value: Any) -> Any:
    """A number in letters, as it was written."""
    float(value)
    return value


_NUMBER_OF: dict[str, Callable[[Any], Any]] = {
    "DS": _written, "IS": _written, "FL": float, "FD": float,
}  # fmt: skip


def _known(identity: Identity | None) -> frozenset[str]:
    if identity is None:
        return frozenset()
    born = identity.birth_date.strftime("%Y%m%d") if identity.birth_date else ""
    return _telling([identity.hospital_id, identity.name, born])


def _known_of(data: Dataset) -> frozenset[str]:
    """What the header itself says of the patient."""
    found = []
    for name in ("PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs",
                 "AccessionNumber", "OtherPatientNames", "PatientBirthName"):  # fmt: skip
        try:
            value = data.get(name)
        except Exception:  # a damaged one
            continue
        values = value if isinstance(value, _MANY) else [value]
        found += [str(each) for each in values if each]
    return _telling(found)


def _telling(texts: list[str]) -> frozenset[str]:
    """Texts and their words that tell something, which those of one or two letters do not."""
    words = [word for text in texts for word in (text, *re.split(r"[\s^=,\\]+", text))]
    return frozenset(word.strip().lower() for word in words if len(word.strip()) > 2)


def _tells(values: Any, known: frozenset[str]) -> bool:
    for value in values:
        text = str(value).strip().lower()
        if isinstance(value, str | bytes | PersonName) and not isinstance(value, UID):
            if any(word in text for word in known):
                return True
        elif text in known and len(text) > 3:  # a number that is the patient's
            return True
    return False


def _profile(code: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
    return item
