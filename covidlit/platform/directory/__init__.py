"""Accounts of the hospital's own directory: log-in by OIDC or LDAP, roles by its groups."""
