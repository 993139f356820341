"""Who can log in: first passwords anew, accounts closed and opened, an administrator restored."""

from __future__ import annotations

import secrets

from allauth.mfa.models import Authenticator
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from covidlit.errors import ConfigError
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.people import (
    give_role,
    make_user,
    may_manage,
    require_another_administrator,
)
from covidlit.platform.accounts.rights import Role, Scope
from covidlit.platform.audit.trail import Person, record

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""What nobody mistakes for another when it is read aloud or from paper."""


def may_manage_account(by: User, user: User) -> bool:
    """Whether all roles of another person lie within the scope in which one gives roles.

    An account without roles is a matter of those who give them everywhere.
    """
    scopes = [Scope(each.centre_id, each.study_group_id) for each in user.memberships.all()]
    return user.pk != by.pk and all(may_manage(by, each) for each in scopes or [Scope(None, None)])


def renew_password(user: User, *, by: Person) -> str:
    """A new first password, with which the person logs in once; his second factor is removed.

    Returns:
        The password, which is kept nowhere else.

    Raises:
        ConfigError: the account is the hospital's directory's, which has its password.
    """
    if user.directory:
        raise ConfigError(
            "the account's password is the directory's.", where=user.username,
            fix="have it changed there.",
        )  # fmt: skip
    password = "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))
    user.set_password(password)
    user.password_is_first = True
    with transaction.atomic():
        user.save(update_fields=["password", "password_is_first"])
        Authenticator.objects.filter(user=user).delete()
        _note(by, "gave a new first password", user, _end_access(user))
    return password


def close_account(user: User, *, by: Person) -> None:
    """Let a person not log in any more; his roles stay. Done again it changes nothing.

    Raises:
        ConfigError: nobody would be left who can give roles everywhere.
    """
    with transaction.atomic():
        require_another_administrator(user.memberships.all())
        if User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
            _note(by, "closed the account", user, _end_access(user))


def open_account(user: User, *, by: Person) -> None:
    """Let a person log in again, with the roles that he had. Done again it changes nothing."""
    with transaction.atomic():
        if User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
            _note(by, "opened the account", user, {})


def restore_administrator(username: str, password: str) -> User:
    """Make somebody an administrator of all centres with a new password and no second factor.

    For whoever has the folder of the platform, where nobody can log in any more. What was open in
    his name, sessions and tokens, ends.

    Raises:
        ConfigError: the password is too weak, or a new name cannot be taken.
    """
    user = User.objects.filter(username__iexact=username).first()
    if user is None:
        user = make_user(username, password)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ConfigError(
            " ".join(error.messages), where=f"account {username!r}", fix="choose another."
        ) from error
    user.set_password(password)
    user.is_active, user.password_is_first = True, False
    with transaction.atomic():
        user.save()
        Authenticator.objects.filter(user=user).delete()
        give_role(user, Role.ADMINISTRATOR)
        record(None, "restored the account", user.username, details=_end_access(user))
    return user


def end_tokens(user: User) -> int:
    """End all of a person's tokens that live; how many there were."""
    now = timezone.now()
    ended: int = user.tokens.filter(revoked_at=None, expires_at__gt=now).update(revoked_at=now)
    return ended


def _end_access(user: User) -> dict[str, int]:
    """End a person's sessions and tokens; how many there were."""
    now = timezone.now()
    own = [
        each.pk
        for each in Session.objects.filter(expire_date__gt=now).iterator()
        if each.get_decoded().get(SESSION_KEY) == str(user.pk)
    ]
    Session.objects.filter(pk__in=own).delete()
    return {"sessions": len(own), "tokens": end_tokens(user)}


def _note(by: Person, action: str, user: User, details: dict[str, int]) -> None:
    """Record it for the administrators of the person's centre, where he has one alone."""
    centres = {str(each.centre or "") for each in user.memberships.select_related("centre")}
    record(by, action, user.username, centres.pop() if len(centres) == 1 else "", details)
