"""WADO-RS: objects as files, their metadata, and frames.

Source: DICOM PS3.18, section 10.4.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from itertools import chain
from typing import TypeVar

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from pydicom.uid import ExplicitVRLittleEndian

from covidlit.platform.accounts.rights import Right
from covidlit.platform.api.authenticate import Caller
from covidlit.platform.api.problems import ApiProblem
from covidlit.platform.dicomweb.accept import Wanted, choose
from covidlit.platform.dicomweb.answers import DICOM_JSON, as_json
from covidlit.platform.dicomweb.encode import (
    NotReadableError,
    file_of,
    file_without_identity,
    frames_of,
    header_of,
)
from covidlit.platform.dicomweb.gate import service
from covidlit.platform.dicomweb.parts import answered_in_parts
from covidlit.platform.dicomweb.seen import SeenInstance, instances_seen

Part = TypeVar("Part")
log = logging.getLogger(__name__)

DICOM = "application/dicom"
BYTES = "application/octet-stream"
MOST_FRAMES = 1000
"""Frames of one request."""

_PLAIN = f"; transfer-syntax={ExplicitVRLittleEndian}"


@service(Right.VIEW)
def objects(
    request: HttpRequest, caller: Caller, study: str, series: str = "", instance: str = ""
) -> HttpResponseBase:
    """The objects of a study, a series, or one object, as files."""
    wanted = choose(request, [DICOM], multipart=True)
    _check_syntax(wanted)
    found = instances_seen(request, caller, study, series, instance)
    if not wanted.is_multipart:
        if len(found) != 1:
            raise ApiProblem(
                406, "several objects come in parts alone.", where="Accept",
                fix=f'take multipart/related; type="{DICOM}".',
            )  # fmt: skip
        (file,) = _begun(_file(each, wanted) for each in found)
        return HttpResponse(file, content_type=DICOM)
    files = ((_said_syntax(wanted), _file(each, wanted)) for each in found)
    return answered_in_parts(DICOM, _begun(files))


@service(Right.VIEW)
def metadata(
    request: HttpRequest, caller: Caller, study: str, series: str = "", instance: str = ""
) -> HttpResponseBase:
    """Headers of the objects of a study or series, or of one, without their pixels."""
    choose(request, [DICOM_JSON, "application/json"])
    found = instances_seen(request, caller, study, series, instance)

    def written() -> Iterator[bytes]:
        for number, each in enumerate(found):
            header = header_of(each.path, each.to)
            text = json.dumps(as_json(header), allow_nan=False)
            yield (",\n" if number else "[").encode() + text.encode()
        yield b"]"

    return StreamingHttpResponse(_begun(written()), content_type=DICOM_JSON)


@service(Right.VIEW)
def frames(
    request: HttpRequest, caller: Caller, study: str, series: str, instance: str, frames: str
) -> HttpResponseBase:
    """Frames of an object, decoded, each in a part."""
    wanted = choose(request, [BYTES], multipart=True)
    _check_syntax(wanted)
    (found,) = instances_seen(request, caller, study, series, instance)
    indices = frame_indices(found, frames)
    parts = ((_PLAIN, each) for each in frames_of(found.path, indices))
    if not wanted.is_multipart and len(indices) == 1:
        return HttpResponse(next(_begun(parts))[1], content_type=BYTES)
    return answered_in_parts(BYTES, _begun(parts))


def frame_indices(found: SeenInstance, text: str) -> list[int]:
    """Indices of frames from 0, of their numbers, as 1,2,5.

    Raises:
        Http404: the object has no such frame, or no image.
        ApiProblem: 400, too many.
    """
    numbers = text.split(",")
    if len(numbers) > MOST_FRAMES:
        raise ApiProblem(
            400, f"it asks for more than {MOST_FRAMES} frames.", where="the address",
            fix="ask for fewer at a time.",
        )  # fmt: skip
    indices = [int(each[:9]) - 1 for each in numbers if each]
    if len(indices) != len(numbers) or not all(0 <= i < found.instance.frames for i in indices):
        raise Http404
    return indices


def _file(found: SeenInstance, wanted: Wanted) -> bytes:
    as_stored = wanted.syntax == "*"
    if found.to is None:
        return file_of(found.path, as_stored)
    return file_without_identity(found.path, found.to, as_stored)


def _said_syntax(wanted: Wanted) -> str:
    """Of parts of which the client takes any syntax the files say theirs."""
    return "" if wanted.syntax == "*" else _PLAIN


def _check_syntax(wanted: Wanted) -> None:
    if wanted.syntax not in ("", "*", ExplicitVRLittleEndian):
        raise ApiProblem(
            406, "it is not to be had in this transfer syntax.", where="Accept",
            fix=f"take {ExplicitVRLittleEndian} or *.",
        )  # fmt: skip


def _begun(parts: Iterator[Part]) -> Iterator[Part]:
    """Parts, of which the first is made at once: what it fails of has an answer of its own.

    Where a later one fails the connection breaks off, so that nobody takes a part for the whole.

    Raises:
        ApiProblem: 406, the first cannot be made.
        Http404: its file is not there.
    """
    try:
        first = next(parts)
    except NotReadableError as error:
        log.warning("A stored object cannot be read or decoded: %s", error)
        raise ApiProblem(
            406, "it cannot be decoded here.", where="the object",
            fix='take it as it is stored, by transfer-syntax=*, if you may know who it is.',
        ) from error  # fmt: skip
    except FileNotFoundError:
        raise Http404 from None
    return chain([first], parts)
