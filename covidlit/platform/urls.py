"""Which address is which page.

Each page of ours names the right that it needs (`covidlit.platform.accounts.pages.page`); a test
asks all of them as all roles.
"""

from __future__ import annotations

from django.urls import include, path, re_path

from covidlit.platform.accounts import views as accounts
from covidlit.platform.api import views as api
from covidlit.platform.api.whole import ROOT
from covidlit.platform.clinical import views as clinical
from covidlit.platform.correcting import views as correcting
from covidlit.platform.dicom_in import views as dicom_in
from covidlit.platform.directory.views import not_let_in
from covidlit.platform.exporting import views as exporting
from covidlit.platform.grading import views as grading
from covidlit.platform.intake import views as intake
from covidlit.platform.jobs import views as jobs
from covidlit.platform.operation import health, metrics
from covidlit.platform.patients import report, views
from covidlit.platform.registry import views as registry
from covidlit.platform.sending import views as sending
from covidlit.platform.viewing import audit_views, volume_views

urlpatterns = [
    path("", views.patients, name="patients"),
    path("patients/find/", views.find_patients, name="find_patients"),
    path("patients/<str:pseudonym>/", views.patient, name="patient"),
    path("patients/<str:pseudonym>/report/", report.report, name="report"),
    path("patients/<str:pseudonym>/report.pdf", report.report_pdf, name="report_pdf"),
    path("scans/<int:pk>/", views.scan, name="scan"),
    path("scans/<int:pk>/slices/<int:index>.png", views.slice_picture, name="slice"),
    path("scans/<int:pk>/planes/<str:axis>/<int:index>.png", views.slice_picture, name="plane"),
    path("scans/<int:pk>/positions.json", volume_views.positions, name="positions"),
    path("scans/<int:pk>/volume/<int:size>.nii.gz", volume_views.volume, name="volume"),
    path(
        "scans/<int:pk>/volume/<int:version>/labels/<int:size>.nii.gz",
        volume_views.volume_labels,
        name="volume_labels",
    ),
    path(
        "scans/<int:pk>/volume/<int:version>/surfaces.json",
        volume_views.volume_surfaces,
        name="volume_surfaces",
    ),
    path("scans/<int:pk>/correct/", correcting.correct, name="correct"),
    path("scans/<int:pk>/correct/begin/", correcting.begin, name="begin_correction"),
    path(
        "scans/<int:pk>/correct/slices/<int:index>.png", correcting.draft_slice, name="draft_slice"
    ),
    path("scans/<int:pk>/correct/edit/", correcting.edit, name="edit_lesion"),
    path("scans/<int:pk>/correct/undo/", correcting.undo, name="undo_edit"),
    path("scans/<int:pk>/correct/drop/", correcting.drop, name="drop_correction"),
    path("scans/<int:pk>/correct/renew/", correcting.renew, name="renew_correction"),
    path("scans/<int:pk>/correct/save/", correcting.save, name="save_correction"),
    path("scans/<int:pk>/correct/measure/", correcting.measure_again, name="measure_correction"),
    path("scans/<int:pk>/correct/reopen/", correcting.reopen, name="reopen_correction"),
    path("scans/<int:pk>/correct/state/", correcting.state, name="correction_state"),
    path("exports/", exporting.exports, name="exports"),
    path("exports/begin/", exporting.begin, name="begin_export"),
    path("exports/<int:pk>/", exporting.download, name="download_export"),
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
    path("uploads/<int:pk>/finish/", intake.finish, name="finish_upload"),
    path("uploads/<int:pk>/drop/", intake.drop, name="drop_upload"),
    path("clinical/", clinical.tables, name="clinical_tables"),
    path("clinical/add/", clinical.add_table, name="add_clinical_table"),
    path("clinical/<int:pk>/", clinical.table, name="clinical_table"),
    path("clinical/<int:pk>/withdraw/", clinical.withdraw, name="withdraw_clinical_table"),
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/<int:pk>/end/", jobs.end, name="end_job"),
    path("jobs/<int:pk>/again/", jobs.again, name="job_again"),
    path("grading/", grading.grading, name="grading"),
    path("grading/first/", grading.first_queue, name="first_queue"),
    path("grading/first/next/", grading.next_first, name="next_first"),
    path("grading/first/<int:pk>/", grading.grade_first, name="grade_first"),
    path("grading/second/", grading.second_queue, name="second_queue"),
    path("grading/second/next/", grading.next_second, name="next_second"),
    path("grading/second/<int:pk>/", grading.grade_second, name="grade_second"),
    path("grading/manifest.csv", grading.grading_manifest, name="grading_manifest"),
    path("people/", accounts.people, name="people"),
    path("people/add/", accounts.add_person, name="add_person"),
    path("people/<int:pk>/password/", accounts.renew, name="renew_password"),
    path("people/<int:pk>/close/", accounts.close, name="close_account"),
    path("people/<int:pk>/open/", accounts.open_again, name="open_account"),
    path("people/roles/give/", accounts.give, name="give_role"),
    path("people/roles/<int:pk>/take/", accounts.take, name="take_role"),
    path("places/", registry.places, name="places"),
    path("places/centres/add/", registry.add_centre, name="add_centre"),
    path("places/study-groups/add/", registry.add_study_group, name="add_study_group"),
    path("places/study-groups/<int:pk>/follow/", registry.follow, name="follow_disease"),
    path("trail/", audit_views.trail, name="trail"),
    path("tokens/", api.tokens, name="tokens"),
    path("tokens/add/", api.add_token, name="add_token"),
    path("tokens/revoke/", api.revoke_tokens, name="revoke_tokens"),
    path("tokens/<int:pk>/revoke/", api.revoke_token, name="revoke_token"),
    path("api/", api.api_page, name="api_page"),
    path(ROOT, include("covidlit.platform.api.urls")),  # its operations name their rights
    path("dicom-web/", include("covidlit.platform.dicomweb.urls")),  # its services name theirs
    path("health/", health.health, name="health"),
    path("metrics/", metrics.metrics, name="metrics"),
    # Accounts are made, and passwords reset, by an administrator: there are no e-mails.
    re_path("^account/(signup|email|confirm-email|password/reset)(/|$)", health.not_there),
    path("account/", include("allauth.account.urls")),
    # Where allauth leads people whom the directory did not let in.
    path("account/directory/cancelled/", not_let_in, name="socialaccount_login_cancelled"),
    path("account/directory/error/", not_let_in, name="socialaccount_login_error"),
    path("account/directory/signup/", not_let_in, name="socialaccount_signup"),
    path("account/directory/connections/", not_let_in, name="socialaccount_connections"),
    path("account/directory/", include("allauth.socialaccount.providers.openid_connect.urls")),
    path("account/second-factor/", include("allauth.mfa.urls")),
]

handler500 = "covidlit.platform.trouble_page.say_trouble"
