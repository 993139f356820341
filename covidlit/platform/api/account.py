"""Who calls."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router

from covidlit.platform.accounts.models import Centre, StudyGroup
from covidlit.platform.accounts.rights import Right
from covidlit.platform.api.authenticate import Caller
from covidlit.platform.api.operations import operation
from covidlit.platform.api.schemas import Me, RightAnswer, TokenAnswer
from covidlit.version import __version__

router = Router(tags=["account"])


@operation(router, "GET", "/me", None, Me)
def me(request: HttpRequest) -> Me:
    """Who calls, and what he may do where."""
    caller: Caller = request.auth
    centres = dict(Centre.objects.values_list("pk", "name"))
    groups = dict(StudyGroup.objects.values_list("pk", "name"))
    rights = [
        RightAnswer(
            right=right.name.lower(),
            centre=None if scope.centre_id is None else centres[scope.centre_id],
            study_group=None if scope.study_group_id is None else groups[scope.study_group_id],
        )
        for right in Right
        if right in caller.rights()
        for scope in dict.fromkeys(caller.user.scopes_with(right))
    ]
    token = caller.token and TokenAnswer(
        name=caller.token.name, scopes=caller.token.scopes, expires_at=caller.token.expires_at
    )
    return Me(username=caller.user.get_username(), rights=rights, token=token, version=__version__)
