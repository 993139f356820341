"""The pages on which results are downloaded, confirmed to be sent, and followed."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from zipfile import ZIP_STORED, ZipFile

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.audit.trail import record
from covidlit.platform.registry.followed import chosen, diseases_seen, newest_labelling
from covidlit.platform.registry.models import Identity, Labelling, Scan
from covidlit.platform.sending import confirm
from covidlit.platform.sending.dicom_objects import objects_of
from covidlit.platform.sending.fhir import diagnostic_report, imaging_study
from covidlit.platform.sending.models import Sending, SentState
from covidlit.platform.sending.send import archives_for
from covidlit.platform.viewing.seen import looked_at

PER_PAGE = 50
_FHIR = "application/fhir+json"


@require_GET
@page(Right.SEND)
def send(request: HttpRequest, pk: int) -> HttpResponse:
    """What of a scan can be sent, whose it is, and where to; a form that confirms it."""
    found = _scan(request, pk, Right.SEND)
    diseases = diseases_seen(person(request), Right.SEND, found.patient)
    disease = chosen(request.GET.get("disease", ""), diseases)
    labelling = newest_labelling(found, disease.name)
    identity = _identity(request, found)
    sent = Sending.objects.seen_by(person(request), Right.SEND).filter(
        labelling__scan=found, labelling__disease=disease.name
    )
    return render(
        request,
        "send.html",
        {
            "scan": found,
            "diseases": diseases,
            "disease": disease,
            "labelling": labelling,
            "identity": identity,
            "objects": objects_of(labelling) if labelling else [],
            "archives": archives_for(labelling) if labelling else [],
            "sendings": sent.select_related("labelling"),
        },
    )


@require_POST
@page(Right.SEND)
def confirm_sending(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the objects that a person saw and chose sent."""
    found = _scan(request, pk, Right.SEND)
    sent = request.POST
    try:
        sending = confirm.confirm_seen(
            person(request), found, sent.get("labelling", ""), sent.get("archive", ""),
            set(sent.getlist("object")),
        )  # fmt: skip
    except CovidlitError as error:
        messages.error(request, str(error))
        return redirect(_page_of(request, found))
    return redirect("sending", pk=sending.pk)


@require_GET
@page(Right.SEND)
def sendings(request: HttpRequest) -> HttpResponse:
    """What was sent of the scans that one may send, the newest first."""
    rows = Sending.objects.seen_by(person(request), Right.SEND).select_related(
        "labelling__scan__patient__centre", "confirmed_by", "job"
    )
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "sendings.html", {"shown": shown})


@require_GET
@page(Right.SEND)
def sending(request: HttpRequest, pk: int) -> HttpResponse:
    """A sending: the state of each of its objects."""
    found = _sending(request, pk)
    parts = list(found.parts.all())
    left = any(part.state != SentState.SENT for part in parts)
    return render(
        request,
        "sending.html",
        {
            "sending": found,
            "parts": parts,
            "again": left and (found.job is None or found.job.is_over),
            "going_on": found.job is not None and not found.job.is_over,
        },
    )


@require_POST
@page(Right.SEND)
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Have what was not sent tried again. Said twice, it is one job."""
    try:
        confirm.try_again(person(request), _sending(request, pk))
    except CovidlitError as error:
        messages.error(request, str(error))
    return redirect("sending", pk=pk)


@require_GET
@page(Right.IDENTIFY)
def download(request: HttpRequest, pk: int, version: int) -> HttpResponse:
    """The DICOM objects of a labelling as an archive; they hold who the patient is."""
    found = _scan(request, pk, Right.IDENTIFY)
    labelling = _version(request, found, version)
    objects = objects_of(labelling)
    if not objects:
        raise Http404
    record(
        person(request), "downloaded objects of", f"scan {found.scan_id}",
        found.patient.centre.name, {"version": version, "objects": len(objects)},
    )  # fmt: skip
    # On the disk of the platform, which is for its owner alone, and closed by Django.
    file = TemporaryFile(dir=settings.FOLDER.uploads)  # noqa: SIM115
    with ZipFile(file, "w", ZIP_STORED) as archive:
        for each in objects:
            archive.write(each.path, each.name)
    file.seek(0)
    name = f"{found.patient.pseudonym}-{Path(found.scan_id).name[:32]}-{version}.zip"
    return FileResponse(file, as_attachment=True, filename=name, content_type="application/zip")


@require_GET
@page(Right.IDENTIFY)
def download_one(request: HttpRequest, pk: int, version: int, name: str) -> HttpResponse:
    """One DICOM object of a labelling."""
    found = _scan(request, pk, Right.IDENTIFY)
    wanted = {each.name: each for each in objects_of(_version(request, found, version))}
    if name not in wanted:
        raise Http404
    record(
        person(request), "downloaded objects of", f"scan {found.scan_id}",
        found.patient.centre.name, {"version": version, "objects": [name]},
    )  # fmt: skip
    return FileResponse(
        wanted[name].path.open("rb"), as_attachment=True, filename=name,
        content_type="application/dicom",
    )  # fmt: skip


@require_GET
@page(Right.VIEW)
def fhir_report(request: HttpRequest, pk: int) -> JsonResponse:
    """The factors of a scan for a disease as a FHIR DiagnosticReport."""
    found = _scan(request, pk, Right.VIEW)
    labelling = _newest(request, found)
    if labelling is None:
        raise Http404
    looked_at(request, f"scan {found.scan_id}", found.patient)
    return _fhir(diagnostic_report(labelling, _identity(request, found)))


@require_GET
@page(Right.VIEW)
def fhir_study(request: HttpRequest, pk: int) -> JsonResponse:
    """A scan with the objects of its newest labelling of a disease as a FHIR ImagingStudy."""
    found = _scan(request, pk, Right.VIEW)
    looked_at(request, f"scan {found.scan_id}", found.patient)
    study = imaging_study(found, _newest(request, found), _identity(request, found))
    return _fhir(study)


def _fhir(content: dict[str, Any]) -> JsonResponse:
    return JsonResponse(content, content_type=_FHIR)


def _scan(request: HttpRequest, pk: int, right: Right) -> Scan:
    rows = Scan.objects.select_related("patient__centre")
    return one_seen_by(rows, person(request), right, pk=pk)


def _newest(request: HttpRequest, scan: Scan) -> Labelling | None:
    """The newest labelling of the disease of `?disease=`, or of the first that one may see."""
    among = diseases_seen(person(request), Right.VIEW, scan.patient)
    return newest_labelling(scan, chosen(request.GET.get("disease", ""), among).name)


def _page_of(request: HttpRequest, scan: Scan) -> str:
    """Where what is sent of a scan is chosen, of the disease of the labelling that was seen."""
    sent = request.POST.get("labelling", "")
    key = int(sent) if sent.isdecimal() and len(sent) < 19 else 0
    labelling = scan.labellings.seen_by(person(request), Right.SEND).filter(pk=key).first()
    address = reverse("send", kwargs={"pk": scan.pk})
    return address if labelling is None else f"{address}?disease={labelling.disease}"


def _version(request: HttpRequest, scan: Scan, version: int) -> Labelling:
    """A version of whichever disease for which one may know who the patient is."""
    rows = scan.labellings.seen_by(person(request), Right.IDENTIFY)
    found = rows.filter(version=version).first()
    if found is None:
        raise Http404
    return found


def _sending(request: HttpRequest, pk: int) -> Sending:
    rows = Sending.objects.select_related("labelling__scan__patient__centre", "job")
    return one_seen_by(rows, person(request), Right.SEND, pk=pk)


def _identity(request: HttpRequest, scan: Scan) -> Identity | None:
    """Who the patient is, for those who may know; the look is in the audit trail."""
    rows = Identity.objects.seen_by(person(request), Right.IDENTIFY)
    found = rows.filter(patient=scan.patient).first()
    if found is not None:
        looked_at(request, f"identity of {scan.patient.pseudonym}", scan.patient)
    return found
