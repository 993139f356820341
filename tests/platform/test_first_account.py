"""The first centre and study group of a new platform: names that cannot be taken."""

from __future__ import annotations

import pytest
from platform_world import PASSWORD

from covidlit.errors import ConfigError
from covidlit.platform.accounts.models import Centre, StudyGroup
from covidlit.platform.audit.models import Entry
from covidlit.platform.first_account import make_first_account

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("centre", "group", "what", "written"),
    [
        ("St. Mary", "clinic", "centre 'St. Mary'", "write st-mary."),
        ("north", "Trial (1)", "study group 'Trial (1)'", "write trial-1."),
        ("...", "clinic", "centre '...'", "write north-hospital."),
        ("", "clinic", "centre ''", "write north-hospital."),
        ("x" * 81, "clinic", "centre", f"write {'x' * 80}."),
    ],
)
def test_a_first_name_that_cannot_be_taken_is_told_in_plain_words(
    centre: str, group: str, what: str, written: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_first_account("boss", PASSWORD, centre, group)
    text = str(caught.value)
    assert text.startswith(what)
    assert text.endswith(written)
    assert "slug" not in text.replace(centre, "")
    assert not Centre.objects.exists()


def test_what_is_made_first_is_in_the_audit_trail() -> None:
    make_first_account("boss", PASSWORD, "north", "scars", "fibrosis")
    assert StudyGroup.objects.get().disease == "fibrosis"
    actions = set(Entry.objects.values_list("action", flat=True))
    assert {"made the centre", "made the study group", "made the account"} <= actions


def test_a_database_with_centres_is_not_begun_again() -> None:
    StudyGroup.objects.create(name="clinic")
    with pytest.raises(ConfigError, match="empty database"):
        make_first_account("boss", PASSWORD, "north", "clinic")
