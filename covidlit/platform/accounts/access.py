"""Who can log in: an administrator restored, and what was open in his name ended."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from covidlit.errors import ConfigError
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.trail import record


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


def _end_access(user: User) -> dict[str, int]:
    """End a person's sessions and tokens; how many there were."""
    now = timezone.now()
    own = [
        each.pk
        for each in Session.objects.filter(expire_date__gt=now).iterator()
        if each.get_decoded().get(SESSION_KEY) == str(user.pk)
    ]
    Session.objects.filter(pk__in=own).delete()
    tokens = user.tokens.filter(revoked_at=None, expires_at__gt=now).update(revoked_at=now)
    return {"sessions": len(own), "tokens": tokens}
