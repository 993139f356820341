"""The audit trail, as far as the caller's own centres reach."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router

from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.api.operations import operation
from covidlit.platform.api.schemas import Before, EntryAnswer, Limit, PageOf
from covidlit.platform.viewing.audit_views import entries_seen_by

router = Router(tags=["trail"])


@operation(router, "GET", "/trail", Right.AUDIT, PageOf[EntryAnswer])
def trail(request: HttpRequest, before: Before = None, limit: Limit = 100) -> PageOf[EntryAnswer]:
    """Who did what, the newest first, a page at a time."""
    rows = entries_seen_by(person(request))
    if before is not None:
        rows = rows.filter(number__lt=before)
    found = list(rows.order_by("-number")[: limit + 1])
    return PageOf[EntryAnswer](
        rows=[EntryAnswer.model_validate(each) for each in found[:limit]],
        next=str(found[limit - 1].number) if len(found) > limit else None,
    )
