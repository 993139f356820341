"""The first centre, study group and administrator of a new platform."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import slugify

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
            where = f"{model._meta.verbose_name} {name!r}"
            if model.objects.filter(name=name).exists():
                raise ConfigError(
                    "the database has it already.", where=where, fix="choose an empty database."
                )
            row = model(name=name)
            try:
                row.clean_fields()
            except ValidationError as error:
                raise ConfigError(
                    "such a name has 1 to 80 letters, digits, - and _, and nothing else.",
                    where=where, fix=f"write {slugify(name)[:80] or 'north-hospital'}.",
                ) from error  # fmt: skip
            row.save()
        user = make_user(username, password)
        give_role(user, Role.ADMINISTRATOR)
