"""Tokens made, found and revoked; whoever has the text of one is its owner, as far as it goes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from covidlit.errors import ConfigError
from covidlit.platform.accounts.access import end_tokens
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.people import may_manage
from covidlit.platform.accounts.rights import Right, Scope
from covidlit.platform.api.models import TOKEN_SCOPES, Look, Token
from covidlit.platform.audit.trail import record

PREFIX = "covidlit_"
"""By which people and scanners for leaked secrets know a token."""

USUAL_DAYS, MOST_DAYS = 90, 365
MOST_TOKENS = 50
"""That a person may have at a time."""

_USED_AGAIN = timedelta(minutes=5)
_KEEP_LOOKS = timedelta(days=1)


def scopes_of(user: User) -> list[str]:
    """The scopes that a person may give a token: those whose right he has somewhere."""
    rights = user.rights_anywhere()
    return [name for name, right in TOKEN_SCOPES.items() if right in rights]


def make_token(owner: User, name: str, scopes: Collection[str], days: int) -> tuple[Token, str]:
    """A new token; its text is given here once and kept nowhere.

    Args:
        owner: whom it stands for.
        name: what it is for.
        scopes: of `scopes_of`.
        days: that it lives, 1 to `MOST_DAYS`.

    Raises:
        ConfigError: one of them cannot be taken, or there are too many tokens.
    """
    where = f"a token of {owner.get_username()}"
    name = name.strip()
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise ConfigError(
            "it has no name, or an odd one.", where=where,
            fix="say in 1 to 80 characters what it is for.",
        )  # fmt: skip
    if not scopes or not set(scopes) <= set(scopes_of(owner)):
        raise ConfigError(
            f"got the scopes {', '.join(sorted(scopes)) or 'none'}.", where=where,
            fix=f"choose one at least of {', '.join(scopes_of(owner))}: what you may do yourself.",
        )  # fmt: skip
    if not 1 <= days <= MOST_DAYS:
        raise ConfigError(
            f"it would live for {days} days.", where=where, fix=f"choose 1 to {MOST_DAYS}."
        )
    now = timezone.now()
    if owner.tokens.filter(revoked_at=None, expires_at__gt=now).count() >= MOST_TOKENS:
        raise ConfigError(
            f"you have {MOST_TOKENS} already.", where=where, fix="revoke those that nobody needs."
        )
    text = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = Token.objects.create(
            owner=owner, name=name, digest=_digest(text), expires_at=now + timedelta(days=days),
            scopes=[scope for scope in TOKEN_SCOPES if scope in scopes],
        )  # fmt: skip
        # The name is typed by a person and may hold anything: the trail knows the number.
        record(owner, "made", str(token), details={"scopes": token.scopes, "days": days})
        Look.objects.filter(at__lt=now - _KEEP_LOOKS).delete()
    return token, text


def revoke(token: Token, by: User) -> None:
    """End a token; it opens nothing from the next call on. Done again it changes nothing."""
    with transaction.atomic():
        own = Token.objects.filter(pk=token.pk, revoked_at=None)
        if own.update(revoked_at=timezone.now()):
            record(by, "revoked", str(token))


def revoke_all(owner: User) -> int:
    """End all tokens of a person, as he asks himself; how many lived."""
    with transaction.atomic():
        if ended := end_tokens(owner):
            record(owner, "revoked all tokens", owner.get_username(), details={"tokens": ended})
    return ended


def find_token(text: str) -> Token | None:
    """The token of a text, with its owner as he is now; None where there is none or it is dead."""
    # Texts hold 256 random bits: no hash that takes long is needed, and a look-up tells nothing.
    token = Token.objects.select_related("owner").filter(digest=_digest(text)).first()
    return token if token is not None and token.is_alive else None


def note_use(token: Token) -> None:
    """Write down that a token was used, to some minutes: not each call is to wait for it."""
    now = timezone.now()
    if token.used_at is None or token.used_at < now - _USED_AGAIN:
        Token.objects.filter(pk=token.pk).update(used_at=now)


def may_end(user: User, token: Token) -> bool:
    """Whether a person sees and revokes a token: his own, and those of people in his scope."""
    if token.owner_id == user.pk:
        return True
    if not user.scopes_with(Right.MANAGE):
        return False
    return any(
        may_manage(user, Scope(each.centre_id, each.study_group_id))
        for each in token.owner.memberships.all()
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
