"""What people see whom the hospital's directory did not let in."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@login_not_required
def not_let_in(request: HttpRequest) -> HttpResponse:
    """The log-in was given up, or failed at the directory."""
    return render(request, "not_let_in.html", status=403)


not_let_in.is_public = True
