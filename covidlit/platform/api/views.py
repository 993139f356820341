"""The pages of tokens, and of what the API offers."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from covidlit.errors import ConfigError
from covidlit.platform.accounts.models import Membership, User
from covidlit.platform.accounts.pages import page, person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.api.models import TOKEN_SCOPES, Token
from covidlit.platform.api.tokens import (
    MOST_DAYS,
    USUAL_DAYS,
    make_token,
    may_end,
    revoke,
    revoke_all,
    scopes_of,
)
from covidlit.platform.api.whole import ROOT, operations, right_of


@require_GET
@page(Right.VIEW)
def tokens(request: HttpRequest) -> HttpResponse:
    """One's tokens and a form for a new one; an administrator sees those of his people too."""
    return _page(request)


@require_POST
@page(Right.VIEW)
def add_token(request: HttpRequest) -> HttpResponse:
    """A new token, whose text is shown on this answer and never again."""
    days = request.POST.get("days", "")
    try:
        token, text = make_token(
            person(request), request.POST.get("name", ""), request.POST.getlist("scopes"),
            int(days) if days.isdecimal() and len(days) < 6 else 0,
        )  # fmt: skip
    except ConfigError as error:
        messages.error(request, f"{error.what} {error.fix}")
        return redirect("tokens")
    return _page(request, made=token, text=text)


@require_POST
@page(Right.VIEW)
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    """End a token of one's own, or of a person in one's scope."""
    found = Token.objects.select_related("owner").filter(pk=pk).first()
    if found is None or not may_end(person(request), found):
        raise Http404
    revoke(found, person(request))
    messages.success(request, f"The token {found.name} opens nothing any more.")
    return redirect("tokens")


@require_POST
@page(Right.VIEW)
def revoke_tokens(request: HttpRequest) -> HttpResponse:
    """End all of one's own tokens."""
    ended = revoke_all(person(request))
    messages.success(request, f"None of your tokens opens anything any more ({ended} did).")
    return redirect("tokens")


@require_GET
@page(Right.VIEW)
def api_page(request: HttpRequest) -> HttpResponse:
    """What the API offers: its operations, each with the right and the scope that it needs."""
    scopes = {right: name for name, right in TOKEN_SCOPES.items()}
    rows = [
        {
            "method": each.methods[0], "path": f"/{ROOT}{path.lstrip('/').replace('int:', '')}",
            "summary": each.summary, "right": right.value if right else "have an account",
            "scope": scopes[right] if right else "any",
        }
        for path, each in operations()
        for right in [right_of(each)]
    ]  # fmt: skip
    return render(request, "api.html", {"rows": rows})


def _page(request: HttpRequest, made: Token | None = None, text: str = "") -> HttpResponse:
    user = person(request)
    others: list[Token] = []
    if user.scopes_with(Right.MANAGE):
        owners = Prefetch(
            "owner",
            User.objects.prefetch_related(Prefetch("memberships", Membership.objects.all())),
        )
        rows = Token.objects.exclude(owner=user).filter(
            revoked_at=None, expires_at__gt=timezone.now()
        )
        others = [each for each in rows.prefetch_related(owners) if may_end(user, each)]
    return render(
        request,
        "tokens.html",
        {
            "made": made, "text": text, "own": (own := list(user.tokens.all())), "others": others,
            "n_alive": sum(each.is_alive for each in own),
            "scopes": [(name, TOKEN_SCOPES[name].value) for name in scopes_of(user)],
            "usual_days": USUAL_DAYS, "most_days": MOST_DAYS, "root": ROOT,
        },
    )  # fmt: skip
