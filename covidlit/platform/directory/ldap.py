"""Log-in by LDAP, by django-auth-ldap; groups are asked for again while a session lasts."""

from __future__ import annotations

from typing import Any

import ldap
from django.http import HttpRequest
from django_auth_ldap.backend import LDAPBackend, _LDAPUser

from covidlit.platform.accounts.models import User
from covidlit.platform.directory.groups import places_of
from covidlit.platform.directory.kinds import Gone, Unreachable


class DirectoryBackend(LDAPBackend):
    """Lets people of the directory in who have a role here by their groups."""

    def get_or_build_user(self, username: str, ldap_user: _LDAPUser) -> tuple[User, bool]:
        """The account of a person of the directory.

        Raises:
            AuthenticationFailed: no role, or the name is that of an account of the platform itself,
                which nobody gets by having the same name elsewhere.
        """
        found = User.objects.filter(username__iexact=username).first()
        given = found is not None and found.memberships.filter(of_directory=False).exists()
        if not given and not places_of(ldap_user.group_names):
            raise _LDAPUser.AuthenticationFailed("there is no role for these groups")
        if found is None:
            return User(username=username, directory=User.LDAP), True
        if found.directory != User.LDAP:
            raise _LDAPUser.AuthenticationFailed("the name is taken by another account")
        return found, False


class Ldap:
    """See `Directory`."""

    def groups_now(self, user: Any, request: HttpRequest) -> list[str]:
        """Groups as the directory has them now."""
        found = _LDAPUser(DirectoryBackend(), username=user.username)
        try:
            found.connection.whoami_s()  # a search hides that nobody answers
            if found.dn is None:
                raise Gone
            return sorted(found.group_names)
        except ldap.LDAPError as error:
            raise Unreachable from error
