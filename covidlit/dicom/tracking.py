"""What a lesion is called for good: one TrackingUID through SEG, SR, tables and later studies."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import pandas as pd

from covidlit.errors import DicomError

_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "covidlit/lesions")


def tracking_uid(series_uid: str, lesion_id: int, drawn: str = "") -> str:
    """The TrackingUID of a lesion that was first seen in a series: `2.25.` and a UUID of its name.

    The same on every machine, and another one for each series and lesion; it does not contain the
    series' UID.

    Args:
        series_uid: SeriesInstanceUID of the scan, as in its files.
        lesion_id: number of the lesion in the volume of instances.
        drawn: hash of its voxels: what another network or reader draws under the same number is
            another lesion.

    Source: DICOM PS3.5, section B.2 (UUID-derived UIDs); RFC 4122, section 4.3 (version 5).
    """
    name = "/".join([series_uid, str(int(lesion_id)), *filter(None, [drawn])])
    return f"2.25.{uuid.uuid5(_SPACE, name).int}"


def tracking_identifier(uid: str) -> str:
    """What people call a lesion by its TrackingUID, the same in every study: "Lesion 7F3A21C0".

    Its number in a scan is another one in the next; that is the label of its segment.

    Args:
        uid: the TrackingUID.
    """
    return f"Lesion {uuid.uuid5(_SPACE, uid).hex[:8].upper()}"


def scan_tracking_uid(series_uid: str) -> str:
    """The TrackingUID of what is measured on a scan as a whole; see `tracking_uid`."""
    return f"2.25.{uuid.uuid5(_SPACE, series_uid).int}"


def with_tracking_uids(lesions: pd.DataFrame, series_uid: str) -> pd.DataFrame:
    """The lesions with a `tracking_uid` each: those given stay, the others are derived.

    Args:
        lesions: rows of contract 8 of one scan; a `tracking_uid` may be there, as of a lesion that
            was matched with one of an earlier study.
        series_uid: SeriesInstanceUID of the scan.

    Raises:
        DicomError: two lesions of the scan carry one TrackingUID, or one is no UID.
    """
    derived = [tracking_uid(series_uid, number) for number in lesions["lesion_id"]]
    given = lesions["tracking_uid"] if "tracking_uid" in lesions else [None] * len(lesions)
    uids = [
        own if pd.isna(uid) or not uid else str(uid)
        for uid, own in zip(given, derived, strict=True)
    ]
    _check(uids)
    return lesions.assign(tracking_uid=pd.Series(uids, index=lesions.index, dtype="object"))


def _check(uids: Iterable[str]) -> None:
    seen: set[str] = set()
    for uid in uids:
        if len(uid) > 64 or not uid.replace(".", "").isdigit():
            raise DicomError(
                f"column 'tracking_uid': {uid!r} is no DICOM UID.",
                fix="leave it empty: it is then derived from series and lesion.",
            )
        if uid in seen:
            raise DicomError(
                f"column 'tracking_uid': {uid} stands for two lesions of one scan.",
                fix="give each lesion its own; one that was split keeps it in one part only.",
            )
        seen.add(uid)
