"""Objects stored by STOW-RS, one in each request, so that each has an answer of its own."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from covidlit.platform.pacs.errors import Refused
from covidlit.platform.pacs.web import DICOM_JSON, Answer, Web, read_json

_CONFLICT = 409
_REFERENCED, _FAILED = "00081199", "00081198"
_INSTANCE, _REASON, _WARNING = "00081155", "00081197", "00081196"

_REASONS = {
    0x0110: "it failed to process it",
    0x0111: "it has another object of this SOPInstanceUID",
    0x0117: "the SOPInstanceUID is invalid",
    0x0122: "it does not take objects of this kind",
    0x0124: "it does not allow that",
    0xA700: "it has no room",
    0xA900: "the object does not fit its kind",
    0xC000: "it cannot understand the object",
    0xC122: "it does not take this transfer syntax",
}
"""Source: DICOM PS3.18, table I.2-2, and PS3.4, table B.2-1."""


def store(web: Web, path: Path, sop_instance_uid: str) -> str:
    """Store an object; what the archive remarked, or empty.

    Args:
        web: of the archive.
        path: of the object.
        sop_instance_uid: of the same; the archive has to name it among those that it keeps.

    Raises:
        Unreachable: it may be tried again.
        Refused: the archive does not keep it, or does not say whether it does.

    Source: DICOM PS3.18, section 10.5.
    """
    boundary = secrets.token_hex(24)
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
    kind = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
    answer = web.ask(
        "POST", "studies",
        body=b"".join((head, path.read_bytes(), f"\r\n--{boundary}--\r\n".encode("ascii"))),
        headers={"Content-Type": kind, "Accept": DICOM_JSON},
        also=(_CONFLICT,),
    )  # fmt: skip
    return _understood(answer, sop_instance_uid)


def _understood(answer: Answer, uid: str) -> str:
    found = read_json(answer.body)
    if isinstance(found, list) and len(found) == 1:  # as some servers have it
        found = found[0]
    for item in _items(found, _FAILED):
        if _value(item, _INSTANCE) in (uid, None):
            raise Refused(_reason(_value(item, _REASON)), fix="see the archive's own log.")
    for item in _items(found, _REFERENCED):
        if _value(item, _INSTANCE) == uid:
            warning = _value(item, _WARNING)
            return f"kept with a warning ({warning})" if warning else ""
    raise Refused(
        f"it answered {answer.status} and did not say whether it keeps the object.",
        fix="look for it in the archive; sending it again does no harm.",
    )


def _reason(code: Any) -> str:
    words = _REASONS.get(code, "it does not say why") if isinstance(code, int) else "it says no"
    return f"not kept: {words}{f' (0x{code:04X})' if isinstance(code, int) else ''}."


def _items(data: Any, tag: str) -> list[dict[str, Any]]:
    element = data.get(tag) if isinstance(data, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []


def _value(item: dict[str, Any], tag: str) -> Any:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None
