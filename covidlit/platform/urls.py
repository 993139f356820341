"""Which address is which page.

Each page of ours names the right that it needs (`covidlit.platform.accounts.pages.page`); a test
asks all of them as all roles.
"""

from __future__ import annotations

from django.urls import include, path, re_path

from covidlit.platform.accounts import views as accounts
from covidlit.platform.intake import views as intake
from covidlit.platform.jobs import views as jobs
from covidlit.platform.operation import metrics
from covidlit.platform.viewing import audit_views, health, views

urlpatterns = [
    path("", views.patients, name="patients"),
    path("patients/<str:pseudonym>/", views.patient, name="patient"),
    path("scans/<int:pk>/", views.scan, name="scan"),
    path("scans/<int:pk>/slices/<int:index>.png", views.slice_picture, name="slice"),
    path("uploads/", intake.uploads, name="uploads"),
    path("uploads/begin/", intake.begin, name="begin_upload"),
    path("uploads/<int:pk>/", intake.upload, name="upload"),
    path("uploads/<int:pk>/piece/", intake.piece, name="piece"),
    path("uploads/<int:pk>/finish/", intake.finish, name="finish_upload"),
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/<int:pk>/state/", jobs.state, name="job_state"),
    path("jobs/<int:pk>/end/", jobs.end, name="end_job"),
    path("jobs/<int:pk>/again/", jobs.again, name="job_again"),
    path("people/", accounts.people, name="people"),
    path("people/add/", accounts.add_person, name="add_person"),
    path("people/roles/give/", accounts.give, name="give_role"),
    path("people/roles/<int:pk>/take/", accounts.take, name="take_role"),
    path("trail/", audit_views.trail, name="trail"),
    path("health/", health.health, name="health"),
    path("metrics/", metrics.metrics, name="metrics"),
    # Accounts are made, and passwords reset, by an administrator: there are no e-mails.
    re_path("^account/(signup|email|confirm-email|password/reset)(/|$)", health.not_there),
    path("account/", include("allauth.account.urls")),
    path("account/second-factor/", include("allauth.mfa.urls")),
]
