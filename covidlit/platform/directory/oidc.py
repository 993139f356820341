"""Log-in by OpenID Connect, by django-allauth; groups are asked for again while a session lasts."""

from __future__ import annotations

from typing import Any

import requests
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin, SocialToken
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import render

from covidlit.platform.accounts.models import User
from covidlit.platform.directory.groups import places_of
from covidlit.platform.directory.kinds import Gone, Unreachable

PROVIDER = "hospital"
_SECONDS = 5
_REJECTED = (400, 401, 403)
"""Of a token: RFC 6750 says 401, not all providers do."""


class DirectoryAdapter(DefaultSocialAccountAdapter):
    """Lets people of the directory in who have a role here by their groups."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Always: whoever comes so far has a role."""
        return True

    def is_auto_signup_allowed(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Always: there is nothing to fill in."""
        return True

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Refuse people without a role here.

        Raises:
            ImmediateHttpResponse: shows them why.
        """
        if sociallogin.state.get("process") == AuthProcess.CONNECT:
            # An account is the platform's or the directory's: one that is both ends with neither.
            raise ImmediateHttpResponse(render(request, "not_let_in.html", status=403))
        # No addresses are kept, so none can lead to somebody else's account.
        sociallogin.email_addresses = []
        given = sociallogin.is_existing and sociallogin.user.memberships.filter(of_directory=False)
        if not places_of(groups_in(sociallogin.account.extra_data)) and not given:
            raise ImmediateHttpResponse(render(request, "no_role.html", status=403))

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: Any) -> User:
        """A new account of the directory, without an address."""
        user: User = super().populate_user(request, sociallogin, {**data, "email": None})
        user.email, user.directory = "", User.OIDC
        return user

    def get_requests_session(self) -> requests.Session:
        """One that does not wait for ever."""
        return _Session()


class _Session(requests.Session):
    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", _SECONDS)
        return super().request(*args, **kwargs)


class Oidc:
    """See `Directory`."""

    def groups_now(self, user: Any, request: HttpRequest) -> list[str]:
        """Groups by the provider's userinfo, with the token of the log-in."""
        token = SocialToken.objects.filter(account__user=user).order_by("-pk").first()
        if token is None:
            raise Gone
        adapter = OpenIDConnectOAuth2Adapter(request, PROVIDER)
        try:
            answer = self._userinfo(adapter, token.token)
            if answer.status_code in _REJECTED:
                answer = self._userinfo(adapter, self._refreshed(adapter, token))
            if answer.status_code in _REJECTED:
                raise Gone
            answer.raise_for_status()
            return groups_in({"userinfo": answer.json()})
        except (requests.RequestException, ValueError, KeyError) as error:
            raise Unreachable from error

    def _userinfo(self, adapter: OpenIDConnectOAuth2Adapter, token: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return _Session().get(adapter.profile_url, headers=headers)

    def _refreshed(self, adapter: OpenIDConnectOAuth2Adapter, token: SocialToken) -> str:
        """A new token for an old one that came to its end.

        Raises:
            Gone: the provider gives none.
        """
        if not token.token_secret:
            raise Gone
        own = settings.FOLDER.settings.oidc
        answer = _Session().post(
            adapter.access_token_url,
            data={"grant_type": "refresh_token", "refresh_token": token.token_secret},
            auth=(own.client_id, own.client_secret()),
        )
        if answer.status_code in _REJECTED:
            raise Gone
        answer.raise_for_status()
        found = answer.json()
        token.token = str(found["access_token"])
        token.token_secret = str(found.get("refresh_token") or token.token_secret)
        token.save(update_fields=["token", "token_secret"])
        return token.token


def groups_in(data: dict[str, Any]) -> list[str]:
    """Groups that a provider tells of: those of its userinfo, else of its identity token."""
    name = settings.FOLDER.settings.oidc.groups_claim
    for part in ("userinfo", "id_token"):
        found = (data.get(part) or {}).get(name)
        if isinstance(found, str):
            return [found]
        if isinstance(found, list):
            return [str(each) for each in found]
    return []
