"""Which address is which page.

Each page of ours names the right that it needs (`covidlit.platform.accounts.pages.page`); a test
asks all of them as all roles.
"""

from __future__ import annotations

from django.urls import include, path, re_path

from covidlit.platform.accounts import views as accounts
from covidlit.platform.dicom_in import views as dicom_in
from covidlit.platform.intake import views as intake
from covidlit.platform.jobs import views as jobs
from covidlit.platform.sending import views as sending
from covidlit.platform.viewing import audit_views, health, views

urlpatterns = [
    path("", views.patients, name="patients"),
    path("patients/<str:pseudonym>/", views.patient, name="patient"),
    path("scans/<int:pk>/", views.scan, name="scan"),
    path("scans/<int:pk>/slices/<int:index>.png", views.slice_picture, name="slice"),
    path("scans/<int:pk>/send/", sending.send, name="send"),
    path("scans/<int:pk>/send/confirm/", sending.confirm_sending, name="confirm_sending"),
    path("scans/<int:pk>/objects/<int:version>.zip", sending.download, name="objects"),
    path("scans/<int:pk>/objects/<int:version>/<str:name>", sending.download_one, name="object"),
    path("scans/<int:pk>/fhir/DiagnosticReport.json", sending.fhir_report, name="fhir_report"),
    path("scans/<int:pk>/fhir/ImagingStudy.json", sending.fhir_study, name="fhir_study"),
    path("sendings/", sending.sendings, name="sendings"),
    path("sendings/<int:pk>/", sending.sending, name="sending"),
    path("sendings/<int:pk>/again/", sending.again, name="send_again"),
    path("uploads/", intake.uploads, name="uploads"),
    path("uploads/begin/", intake.begin, name="begin_upload"),
    path("uploads/fetch/", dicom_in.fetch, name="fetch"),
    path("uploads/fetch/search/", dicom_in.search, name="search_archive"),
    path("uploads/fetch/begin/", dicom_in.begin, name="begin_fetch"),
    path("uploads/<int:pk>/", intake.upload, name="upload"),
    path("uploads/<int:pk>/piece/", intake.piece, name="piece"),
    path("uploads/<int:pk>/finish/", intake.finish, name="finish_upload"),
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/<int:pk>/state/", jobs.state, name="job_state"),
    path("jobs/<int:pk>/end/", jobs.end, name="end_job"),
    path("people/", accounts.people, name="people"),
    path("people/add/", accounts.add_person, name="add_person"),
    path("people/roles/give/", accounts.give, name="give_role"),
    path("people/roles/<int:pk>/take/", accounts.take, name="take_role"),
    path("trail/", audit_views.trail, name="trail"),
    path("health/", health.health, name="health"),
    # Accounts are made, and passwords reset, by an administrator: there are no e-mails.
    re_path("^account/(signup|email|confirm-email|password/reset)(/|$)", health.not_there),
    path("account/", include("allauth.account.urls")),
    path("account/second-factor/", include("allauth.mfa.urls")),
]
