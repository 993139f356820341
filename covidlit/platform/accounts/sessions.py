"""Log-ins, log-outs and log-ins that failed, in the audit trail."""

from __future__ import annotations

from typing import Any

from allauth.account.signals import password_changed, password_reset, password_set
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.dispatch import receiver

from covidlit.platform.accounts.access import end_tokens
from covidlit.platform.accounts.models import User
from covidlit.platform.audit.trail import record
from covidlit.platform.counted import FAILED_LOG_INS

UNKNOWN = "an unknown account"


@receiver(user_logged_in)
def note_log_in(sender: Any, user: User, **_: Any) -> None:
    """Record a log-in."""
    record(user, "logged in", user.get_username())


@receiver(user_logged_out)
def note_log_out(sender: Any, user: User | None, **_: Any) -> None:
    """Record the end of a session, by the person or by its time."""
    if user is not None:
        record(user, "logged out", user.get_username())


@receiver(user_login_failed)
def note_failure(sender: Any, credentials: dict[str, Any], **_: Any) -> None:
    """Record a log-in that failed; what was typed only where it is the name of an account.

    Else it may be a password that was typed into the wrong field.
    """
    FAILED_LOG_INS.inc()
    name = str(credentials.get("username", ""))
    known = User.objects.filter(username=name).exists()
    record(None, "refused to log in", name if known else UNKNOWN)


@receiver([password_changed, password_set, password_reset])
def note_password(sender: Any, user: User, **_: Any) -> None:
    """Record that a person chose another password, which is now his own; his tokens end.

    Whoever knew the old one may have made them.
    """
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(password_is_first=False)
        told = {"tokens": end_tokens(user)}
        record(user, "changed the password", user.get_username(), details=told)


@receiver([authenticator_added, authenticator_removed, authenticator_reset])
def note_factor(sender: Any, user: User, **_: Any) -> None:
    """Record a change of a person's second factor."""
    record(user, "changed the second factor", user.get_username())
