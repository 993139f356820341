"""The pages of correcting: a draft's slices, its edits, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from covidlit.errors import CovidlitError
from covidlit.lesions.edits import DRAWN, OF_ALL_SLICES, EditKind
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.correcting import drafts, saving
from covidlit.platform.correcting.contour_text import contour_of
from covidlit.platform.correcting.desk import address_of, desk_of
from covidlit.platform.correcting.drafts import Effect, draft_of, waiting_for
from covidlit.platform.correcting.labels import VALUE_OF, planes_of, slice_of
from covidlit.platform.correcting.models import Correction
from covidlit.platform.diseases.disease import Disease
from covidlit.platform.registry.followed import chosen, diseases_seen, newest_labelling
from covidlit.platform.registry.models import Scan
from covidlit.platform.viewing.seen import looked_at
from covidlit.platform.viewing.slices import picture_of, volume_of
from covidlit.scans.lesion_labels import LabelError


@require_GET
@page(Right.CORRECT)
def correct(request: HttpRequest, pk: int) -> HttpResponse:
    """The person's draft of a scan: a slice to draw on, what may be done, and the edits so far."""
    scan, disease = _asked_for(request, pk)
    looked_at(request, f"scan {scan.scan_id}", scan.patient)
    return render(request, "correct.html", desk_of(scan, disease, person(request), request.GET))


@require_POST
@page(Right.CORRECT)
def begin(request: HttpRequest, pk: int) -> HttpResponse:
    """Begin a draft on the newest version."""
    scan, disease = _asked_for(request, pk)
    try:
        drafts.begin(scan, disease.name, person(request))
    except CovidlitError as error:
        messages.error(request, str(error))
    return redirect(address_of(scan, disease, {}))


@require_GET
@page(Right.CORRECT)
def draft_slice(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """A slice as the person's draft has it."""
    scan, disease = _asked_for(request, pk)
    draft = draft_of(scan, disease.name, person(request))
    if draft is None or index >= scan.n_slices:
        raise Http404
    looked_at(request, f"scan {scan.scan_id}", scan.patient)
    covered = index < len(planes_of(draft.corrects))
    return picture_of(request, scan, index, slice_of(draft, index) if covered else (None, None))


@require_POST
@page(Right.CORRECT)
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """One edit more; refused with its reason (400) where it cannot be."""
    scan, disease = _asked_for(request, pk)
    draft = draft_of(scan, disease.name, person(request))
    if draft is None:
        return _refused(request, scan, disease, "There is no draft: begin one first.")
    try:
        row, effect = drafts.add_edit(draft, **_asked(request, scan, disease))
    except CovidlitError as error:
        return _refused(request, scan, disease, str(error))
    said = f"{row.in_words.capitalize()}. {_in_words(effect)}".strip()
    messages.success(request, said)
    # What was drawn as new goes on as the same lesion on the next slice.
    following = {EditKind.NEW: {"lesion": row.lesion, "kind": EditKind.ADD.value}}
    gone = {EditKind.REMOVE: {"lesion": ""}}
    kind = EditKind(row.kind)
    return redirect(address_of(scan, disease, request.POST, **(following | gone).get(kind, {})))


@require_POST
@page(Right.CORRECT)
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the last edit back."""
    return _done(request, pk, drafts.undo)


@require_POST
@page(Right.CORRECT)
def drop(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the draft up."""
    return _done(request, pk, drafts.drop, to="scan")


@require_POST
@page(Right.CORRECT)
def renew(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the draft to the newest version."""

    def do(draft: Correction) -> None:
        left_out = saving.renew(draft)
        messages.success(request, "Your edits are applied on the newest version.")
        for row in left_out:
            messages.error(request, f"Left out: {row.in_words}: {row.left_out}")

    return _done(request, pk, do)


@require_POST
@page(Right.CORRECT)
def save(request: HttpRequest, pk: int) -> HttpResponse:
    """Save the draft; where another version came first it stays, and one is told (409)."""
    scan, disease = _asked_for(request, pk)
    draft = draft_of(scan, disease.name, person(request))
    if draft is None:
        return _refused(request, scan, disease, "There is no draft: begin one first.")
    try:
        saving.save(draft)
    except saving.NewerVersion as error:
        return _refused(request, scan, disease, str(error), status=409)
    except CovidlitError as error:
        return _refused(request, scan, disease, str(error))
    messages.success(request, "Saved. It is measured now, and becomes the next version then.")
    return redirect(_page_of(scan, disease))


@require_POST
@page(Right.CORRECT)
def measure_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Measure a saved correction again whose job has failed."""
    return _mend(request, pk, saving.measure_again)


@require_POST
@page(Right.CORRECT)
def reopen(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a saved correction that cannot be measured a draft again."""
    return _mend(request, pk, saving.reopen)


@require_GET
@page(Right.VIEW)
def state(request: HttpRequest, pk: int) -> JsonResponse:
    """How far the measurement of a saved correction is; the newest version of the scan."""
    scan, disease = _asked_for(request, pk, Right.VIEW)
    waiting = waiting_for(scan, disease.name)
    newest = newest_labelling(scan, disease.name)
    return JsonResponse(
        {
            "version": newest.version if newest else None,
            "state": waiting.job.state if waiting and waiting.job else None,
            "progress": waiting.job.progress if waiting and waiting.job else "",
        }
    )


def _asked_for(request: HttpRequest, pk: int, right: Right = Right.CORRECT) -> tuple[Scan, Disease]:
    """The scan, and the disease of `?disease=`, or else the first for which one has the right."""
    rows = Scan.objects.select_related("patient__centre")
    scan = one_seen_by(rows, person(request), right, pk=pk)
    among = diseases_seen(person(request), right, scan.patient)
    return scan, chosen(request.GET.get("disease", ""), among)


def _page_of(scan: Scan, disease: Disease) -> str:
    return f"{reverse('scan', kwargs={'pk': scan.pk})}?disease={disease.name}"


def _asked(request: HttpRequest, scan: Scan, disease: Disease) -> dict[str, Any]:
    """What a form asks for, checked.

    Raises:
        LabelError: it says which field is wrong.
    """
    sent = request.POST
    try:
        kind = EditKind(sent.get("kind", ""))
    except ValueError:
        raise LabelError("choose what to do.", where="kind") from None
    found: dict[str, Any] = {"kind": kind, "lesion": None}
    if kind != EditKind.NEW:
        found["lesion"] = _number(sent.get("lesion", ""), "lesion", 10**9)
    if kind not in OF_ALL_SLICES:
        found["slice_index"] = _number(sent.get("slice", ""), "slice", scan.n_slices) - 1
    if kind in DRAWN:
        volume = volume_of(scan)
        found["contour"] = contour_of(sent.get("points", ""), volume.shape, volume.spacing)
    if kind in (EditKind.NEW, EditKind.RECLASSIFY):
        found["class_value"] = VALUE_OF.get(sent.get("class", ""), -1)
        if found["class_value"] not in disease.values:
            raise LabelError(
                f"it is no class of {disease.wording.lesions}.", where="class",
                fix=f"choose one of {', '.join(disease.classes)}.",
            )  # fmt: skip
    if leaves := sent.get("leaves", ""):
        if leaves not in ("lung", "background"):
            raise LabelError("choose one of the list.", where="what it leaves")
        found["leaves"] = VALUE_OF[leaves]
    return found


def _number(text: str, name: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and 1 <= int(text) <= most):
        raise LabelError(f"got {text[:20]!r}.", where=name, fix=f"give a number from 1 to {most}.")
    return int(text)


def _in_words(effect: Effect | None) -> str:
    if effect is None:
        return ""
    said = [f"{effect.more} pixels more, {effect.less} less."]
    if effect.taken:
        said.append(f"{effect.taken} of them were other lesions'.")
    if effect.beside:
        said.append(f"{effect.beside} of them were outside the lung.")
    return " ".join(said)


def _refused(
    request: HttpRequest, scan: Scan, disease: Disease, why: str, status: int = 400
) -> HttpResponse:
    """The page again, with the reason and what was entered."""
    messages.error(request, why)
    desk = desk_of(scan, disease, person(request), request.POST)
    return render(request, "correct.html", desk, status=status)


def _done(
    request: HttpRequest, pk: int, do: Callable[[Correction], None], to: str = "correct"
) -> HttpResponse:
    """Do something with the person's draft, where there is one."""
    scan, disease = _asked_for(request, pk)
    draft = draft_of(scan, disease.name, person(request))
    try:
        if draft is not None:
            do(draft)
    except CovidlitError as error:
        messages.error(request, str(error))
    if to == "correct":
        return redirect(address_of(scan, disease, request.POST))
    return redirect(_page_of(scan, disease))


def _mend(request: HttpRequest, pk: int, do: Callable[[Correction, Any], None]) -> HttpResponse:
    scan, disease = _asked_for(request, pk)
    waiting = waiting_for(scan, disease.name)
    try:
        if waiting is not None:
            do(waiting, person(request))
    except CovidlitError as error:
        messages.error(request, str(error))
    return redirect(_page_of(scan, disease))
