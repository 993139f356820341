"""STOW-RS: objects taken as an upload of the intake, whose job decides what becomes a scan.

Source: DICOM PS3.18, section 10.5, and annex I.2 for what is answered.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.places import places_with
from covidlit.platform.accounts.rights import Right
from covidlit.platform.api.authenticate import Caller, again
from covidlit.platform.api.problems import ApiProblem, too_large
from covidlit.platform.dicomweb.accept import choose
from covidlit.platform.dicomweb.answers import DICOM_JSON, element
from covidlit.platform.dicomweb.gate import service
from covidlit.platform.dicomweb.parts import BrokenBody, Parts, boundary_of
from covidlit.platform.dicomweb.taking import Taken, Taking
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.steps import begin_upload, finish_upload
from covidlit.platform.intake.tidying import drop

_WARNING = (
    "Taken as upload {pk} of the platform, whose job decides which series become scans; what is "
    "refused is listed there with its reason."
)


@service(Right.UPLOAD)
def store(request: HttpRequest, caller: Caller, study: str = "") -> HttpResponse:
    """Take objects for a centre and a study group; without them for the only place one may."""
    choose(request, [DICOM_JSON, "application/json"])
    parts = Parts(_limited(_reader(request)), boundary_of(request.META.get("CONTENT_TYPE", "")))
    upload = begin_upload(caller.user, *_place(request, caller.user))
    try:
        taking = Taking(upload, study)
        for head, content in parts:
            taking.take(head, content)
        again(request, Right.UPLOAD)  # the body took its time, and rights may have changed since
        if taking.n_stored:
            upload = finish_upload(upload)
    except BaseException:
        _drop(upload, caller.user)
        raise
    if not taking.n_stored:
        _drop(upload, caller.user)
        return _answer(409, taking.taken, "")
    return _answer(202, taking.taken, _WARNING.format(pk=upload.pk))


def _place(request: HttpRequest, user: User) -> tuple[str, str]:
    """Names of the centre and study group that objects are for.

    Raises:
        ApiProblem: 400, they are not named, and there are several.
        PermissionDenied: there is none.
    """
    named = request.GET.get("centre"), request.GET.get("study_group")
    own = [(str(centre), str(group)) for centre, group in places_with(user, Right.UPLOAD)]
    found = [
        place for place in own
        if all(want in (None, name) for want, name in zip(named, place, strict=True))
    ]  # fmt: skip
    if not found:
        raise PermissionDenied
    if len(found) > 1:
        raise ApiProblem(
            400, "you may bring scans in for several centres or study groups.", where="query",
            fix="name one: /dicom-web/studies?centre=...&study_group=...",
        )  # fmt: skip
    return found[0]


def _drop(upload: Upload, user: User) -> None:
    """Nothing of a body that broke off, or of which nothing can be taken, is kept."""
    if Upload.objects.filter(pk=upload.pk, finished_at=None).exists():
        drop(upload, user)


def _reader(request: HttpRequest) -> Callable[[int], bytes]:
    """What reads the body as it comes, with a length or in chunks.

    Raises:
        ApiProblem: 411, its end cannot be known; 413, it says that it is too long.
    """
    if request.headers.get("transfer-encoding"):
        # Django reads a body by its length alone; servers that end chunked ones say so.
        if not request.META.get("wsgi.input_terminated"):
            raise ApiProblem(
                411, "it does not say how long it is.", where="Content-Length",
                fix="send it with its length.",
            )  # fmt: skip
        read: Callable[[int], bytes] = request.META["wsgi.input"].read
    else:
        length = request.headers.get("content-length") or "0"
        if not length.isdecimal() or int(length[:18]) > _most_bytes():
            raise ApiProblem.of(413, too_large())
        read = request.read
    return read


def _limited(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """The same, up to what an upload may hold; a connection that breaks is the body's end."""
    left = [_most_bytes()]

    def limited(size: int) -> bytes:
        try:
            piece = read(size)
        except OSError:
            raise BrokenBody("the connection broke off.") from None
        left[0] -= len(piece)
        if left[0] < 0:
            raise ApiProblem.of(413, too_large())
        return piece

    return limited


def _most_bytes() -> int:
    """Of a body: an upload, and what stands around its parts."""
    limits = settings.FOLDER.settings.uploads
    return round(limits.max_gib * 2**30) + 1024 * limits.max_files


def _answer(status: int, taken: list[Taken], warning: str) -> HttpResponse:
    stored = [_item(each) for each in taken if not each.reason and each.uid]
    failed = [
        {**_item(each), **element("00081197", "US", each.reason)}
        for each in taken if each.reason and each.uid
    ]  # fmt: skip
    others = [element("00081197", "US", each.reason) for each in taken if not each.uid]
    found: dict[str, Any] = {**element("00081190", "UR")}
    for tag, items in (("00081199", stored), ("00081198", failed), ("0008119A", others)):
        if items:
            found[tag] = {"vr": "SQ", "Value": items}
    headers = {"Warning": f'299 covidlit "{warning}"'} if warning else {}
    return HttpResponse(json.dumps(found), status=status, content_type=DICOM_JSON, headers=headers)


def _item(taken: Taken) -> dict[str, Any]:
    return {
        **element("00081150", "UI", taken.sop_class),
        **element("00081155", "UI", taken.uid),
    }
