"""Who calls: by a token, or by the session of a browser with its guard against forged requests."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache as once

from allauth.account.adapter import get_adapter
from django.core.cache import cache
from django.http import HttpRequest
from ninja.errors import AuthenticationError
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from covidlit.platform.accounts.middleware import lacks_second_factor
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.pages import person
from covidlit.platform.accounts.rights import Right
from covidlit.platform.api.models import TOKEN_SCOPES, Token
from covidlit.platform.api.problems import CHALLENGE, ApiProblem
from covidlit.platform.api.tokens import find_token, note_use
from covidlit.platform.directory.middleware import confirmed_at

MOST_WRONG = 20
"""Tokens of nobody that an address may send in a minute."""


@dataclass(frozen=True)
class Caller:
    """Who calls, and with which rights.

    Args:
        user: as the database has him now.
        token: by which; None: by a session.
    """

    user: User
    token: Token | None = None

    def rights(self) -> frozenset[Right]:
        """What the caller may do somewhere: never more than the person, nor than the token."""
        own = self.user.rights_anywhere()
        return own if self.token is None else own & self.token.rights


class TokenAuth(AuthBase):
    """`Authorization: Bearer ...`, with the right that an operation needs.

    Args:
        right: of the operation; None: whoever has an account.
    """

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __init__(self, right: Right | None) -> None:
        super().__init__()
        self.right = right

    def __call__(self, request: HttpRequest) -> Caller | None:
        """The caller; None where there is no such header.

        Raises:
            AuthenticationError: a token that opens nothing (401).
            ApiProblem: too many of them (429), or the right is lacking (403).
        """
        header = request.headers.get("authorization")
        if header is None:
            return None
        caller = caller_of_token(request, header)
        check_right(caller, self.right)
        request.user = caller.user
        request._cached_user = caller.user  # whom the log tells of
        return caller


class SessionAuth(AuthBase):
    """The session of a browser, whose requests that change something carry the page's token.

    Args:
        right: of the operation; None: whoever has an account.
    """

    openapi_type = "apiKey"
    openapi_in = "cookie"
    openapi_name = "sessionid"

    def __init__(self, right: Right | None) -> None:
        super().__init__()
        self.right = right

    def __call__(self, request: HttpRequest) -> Caller | None:
        """The caller; None without a session.

        Raises:
            ApiProblem: a request that may come from elsewhere, or the right is lacking (403).
        """
        if not request.user.is_authenticated:
            return None
        if check_csrf(request) is not None:
            raise ApiProblem(
                403, "it may come from another site than this platform.", where="X-CSRFToken",
                fix="send the token of the page, or call with a token of the API.",
            )  # fmt: skip
        caller = Caller(person(request))
        check_right(caller, self.right)
        return caller


@once
def needs(right: Right | None) -> list[AuthBase]:
    """How the callers of an operation are known: a token before a session, never one for another.

    Args:
        right: without which they are refused (403); None: whoever has an account.
    """
    return [TokenAuth(right), SessionAuth(right)]


def caller_of_token(request: HttpRequest, header: str) -> Caller:
    """Who calls by a header.

    Raises:
        AuthenticationError: nobody does.
        ApiProblem: too many wrong ones came from there.
    """
    kind, _, text = header.partition(" ")
    token = find_token(text.strip()) if kind.lower() == "bearer" else None
    if token is None or not _is_known(token, request):
        _count_wrong(request)
        raise AuthenticationError(message="this token is unknown, revoked or too old")
    note_use(token)
    return Caller(token.owner, token)


def again(request: HttpRequest, right: Right) -> Caller:
    """The caller as he is now, after a body that took its time; rights may have changed since.

    Raises:
        AuthenticationError: nobody any more (401).
        ApiProblem: the right is gone (403).
    """
    header = request.headers.get("authorization")
    if header is not None:
        caller = caller_of_token(request, header)
    else:
        caller = Caller(User.objects.get(pk=person(request).pk))
        if not caller.user.is_active:
            raise AuthenticationError
    check_right(caller, right)
    return caller


def check_right(caller: Caller, right: Right | None) -> None:
    """Refuse a caller without a right, or whose account is not ready.

    Raises:
        ApiProblem: 403, saying what the person, his account or the token lacks.
    """
    if caller.user.password_is_first or lacks_second_factor(caller.user):
        raise ApiProblem(
            403, "the account is not ready: it lacks a password of its own or a second factor.",
            where="your account", fix="log in by a browser, which asks for it.",
        )  # fmt: skip
    if right is None or right in caller.rights():
        return
    if right not in caller.user.rights_anywhere():
        raise ApiProblem(
            403, f"this needs the right to {right.value}.", where="your roles",
            fix="ask an administrator for a role that has it.",
        )  # fmt: skip
    scope = next((name for name, each in TOKEN_SCOPES.items() if each is right), "")
    raise ApiProblem(
        403, f"the token has not the scope {scope!r}.", where="Authorization",
        fix="make a token with it, on the page Tokens.",
        headers={"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{scope}"'},
    )  # fmt: skip


def _is_known(token: Token, request: HttpRequest) -> bool:
    """Whether the directory that its owner came from still knows him, as sessions ask it."""
    if not token.owner.directory:
        return True
    checked = confirmed_at(token.owner, request, token.checked_at)
    if checked is not None and checked != token.checked_at:
        Token.objects.filter(pk=token.pk).update(checked_at=checked)
    return checked is not None


def _count_wrong(request: HttpRequest) -> None:
    """Count a wrong token against its address; right ones are let in: nobody guesses 256 bits."""
    minute = int(time.time() // 60)
    key = f"wrong-token:{get_adapter().get_client_ip(request)}:{minute}"
    count = cache.get(key, 0) + 1
    cache.set(key, count, 120)
    if count > MOST_WRONG:
        raise ApiProblem(
            429, "too many wrong tokens came from your address.", where="Authorization",
            fix="wait a minute, and send one that lives.", headers={"Retry-After": "60"},
        )  # fmt: skip
