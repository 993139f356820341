"""Settings of django-auth-ldap, from `[ldap]` of `platform.toml`."""

from __future__ import annotations

from typing import Any

import ldap
from django_auth_ldap.config import (
    ActiveDirectoryGroupType,
    GroupOfNamesType,
    LDAPSearch,
    PosixGroupType,
)

from covidlit.platform.options import LdapSettings

_KINDS = {
    "groupOfNames": GroupOfNamesType,
    "posixGroup": PosixGroupType,
    "activeDirectory": ActiveDirectoryGroupType,
}
_SECONDS = 5


def ldap_settings(own: LdapSettings) -> dict[str, Any]:
    """What django-auth-ldap is to do, as Django's settings name it.

    Raises:
        ConfigError: the password or the certificates cannot be read.
    """
    below = ldap.SCOPE_SUBTREE
    options: dict[int, Any] = {
        ldap.OPT_REFERRALS: 0, ldap.OPT_NETWORK_TIMEOUT: _SECONDS, ldap.OPT_TIMEOUT: _SECONDS,
    }  # fmt: skip
    if own.ca_file:
        options |= {ldap.OPT_X_TLS_CACERTFILE: own.certificates(), ldap.OPT_X_TLS_NEWCTX: 0}
    return {
        "AUTH_LDAP_SERVER_URI": own.server,
        "AUTH_LDAP_START_TLS": own.start_tls,
        "AUTH_LDAP_BIND_DN": own.bind_dn,
        "AUTH_LDAP_BIND_PASSWORD": own.bind_password(),
        "AUTH_LDAP_CONNECTION_OPTIONS": options,
        "AUTH_LDAP_USER_SEARCH": LDAPSearch(own.users, below, own.user_filter),
        "AUTH_LDAP_GROUP_SEARCH": LDAPSearch(own.groups, below, own.group_filter),
        "AUTH_LDAP_GROUP_TYPE": _KINDS[own.group_kind](),
        "AUTH_LDAP_PERMIT_EMPTY_PASSWORD": False,
    }
