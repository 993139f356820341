"""Making accounts and giving roles, with their traces in the audit trail."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from covidlit.errors import ConfigError
from covidlit.platform.accounts.models import Centre, Membership, StudyGroup, User
from covidlit.platform.accounts.rights import Right, Role, Scope
from covidlit.platform.audit.trail import SYSTEM, Person, record


def make_user(username: str, password: str, *, by: Person | None = None) -> User:
    """A new account.

    Args:
        username: to log in with.
        password: of it.
        by: who makes it, and so knows the password, which has to be changed at the first log-in;
            None: the platform itself.

    Raises:
        ConfigError: the name is taken or no name, or the password is too weak.
    """
    user = User(username=username, password_is_first=by is not None)
    if username.casefold() == SYSTEM:
        raise ConfigError(
            "the platform itself is called so in the audit trail.", where=f"account {username!r}",
            fix="choose another name.",
        )  # fmt: skip
    _check(user, password)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
            record(by, "made the account", username)
    except IntegrityError:  # of two at a time the unique name lets one through
        _check(User(username=username), password)
        raise
    return user


def give_role(
    user: User,
    role: Role,
    centre: Centre | None = None,
    study_group: StudyGroup | None = None,
    *,
    by: Person | None = None,
) -> Membership:
    """Make somebody something in a centre and a study group; None: in all of them."""
    with transaction.atomic():
        found, new = Membership.objects.get_or_create(
            user=user, role=role.name, centre=centre, study_group=study_group
        )
        if new:
            record(by, "gave the role", user.username, str(centre or ""), _told(found))
    return found


def take_role(membership: Membership, *, by: Person | None = None) -> None:
    """End a role; it counts from the person's next click.

    Raises:
        ConfigError: nobody would be left who can give roles everywhere.
    """
    with transaction.atomic():
        require_another_administrator([membership])
        told, username = _told(membership), membership.user.username
        centre = str(membership.centre or "")
        membership.delete()
        record(by, "took the role", username, centre, told)


def require_another_administrator(lost: Iterable[Membership]) -> None:
    """Within the transaction in which memberships are lost: see that one can still give roles.

    Raises:
        ConfigError: nobody would be left who can give roles everywhere.
    """
    everywhere = Membership.objects.filter(
        role=Role.ADMINISTRATOR.name, centre=None, study_group=None, user__is_active=True
    )
    # Locked with their people, lest two administrators end each other at once.
    left = set(everywhere.select_related("user").select_for_update().order_by("pk"))
    if left and left <= set(lost):
        raise ConfigError(
            "this is the last administrator of all centres.", where=left.pop().user.username,
            fix="make somebody else one first.",
        )  # fmt: skip


def may_manage(user: User, scope: Scope) -> bool:
    """Whether all of a scope lies within one in which the person gives roles."""
    return any(
        own.centre_id in (None, scope.centre_id)
        and own.study_group_id in (None, scope.study_group_id)
        for own in user.scopes_with(Right.MANAGE)
    )


def _check(user: User, password: str) -> None:
    """Refuse a new account whose name is taken or no name, or whose password is too weak."""
    try:
        user.full_clean(exclude=["password"])
        validate_password(password, user)
    except ValidationError as error:
        raise ConfigError(
            " ".join(error.messages), where=f"account {user.username!r}", fix="choose another."
        ) from error


def _told(membership: Membership) -> dict[str, str]:
    return {
        "role": membership.role,
        "centre": str(membership.centre or "all"),
        "study_group": str(membership.study_group or "all"),
    }
