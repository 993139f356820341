"""Where people are led to after a form: to nothing that tells of another study group's disease."""

from __future__ import annotations

import pytest
from disease_world import COVID, FIBROSIS, clinic
from django.urls import reverse

from covidlit.platform.accounts.rights import Role

pytestmark = pytest.mark.django_db


def test_a_labelling_that_one_may_not_see_is_as_one_that_is_not_there() -> None:
    own = clinic()
    client = own.client(Role.PHYSICIAN, COVID)
    address = reverse("confirm_sending", args=[own.scan.pk])
    places = {
        client.post(address, {"labelling": key, "archive": "pacs"})["Location"]
        for key in (own.labellings[FIBROSIS].pk, 10**9)
    }
    assert places == {reverse("send", args=[own.scan.pk])}
