"""The first centre, study group and administrator of a new platform."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from covidlit.errors import ConfigError
from covidlit.platform.accounts.models import Centre, StudyGroup
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role


def make_first_account(username: str, password: str, centre: str, study_group: str) -> None:
    """Make an administrator of all centres, who may enter Django's administration too.

    Raises:
        ConfigError: a name or the password cannot be taken.
    """
    with transaction.atomic():
        for model, name in ((Centre, centre), (StudyGroup, study_group)):
            row = model(name=name)
            try:
                row.full_clean()
            except ValidationError as error:
                raise ConfigError(
                    " ".join(error.messages), where=f"{model.__name__} {name!r}",
                    fix="use letters, digits, - and _, such as north-hospital.",
                ) from error  # fmt: skip
            row.save()
        user = make_user(username, password)
        give_role(user, Role.ADMINISTRATOR)
