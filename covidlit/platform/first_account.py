"""The first centre, study group and administrator of a new platform."""

from __future__ import annotations

from django.db import transaction

from covidlit.errors import ConfigError
from covidlit.platform.accounts.models import Centre, StudyGroup
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.diseases.disease import DEFAULT_DISEASE
from covidlit.platform.registry.study_groups import check_known, make_centre, make_study_group


def make_first_account(
    username: str,
    password: str,
    centre: str,
    study_group: str,
    disease: str = DEFAULT_DISEASE,
) -> None:
    """Make an administrator of all centres.

    Raises:
        ConfigError: a name or the password cannot be taken, or there is no such disease.
    """
    check_known(disease)
    with transaction.atomic():
        for model, name in ((Centre, centre), (StudyGroup, study_group)):
            if model.objects.filter(name=name).exists():
                raise ConfigError(
                    "the database has it already.",
                    where=f"{model._meta.verbose_name} {name!r}", fix="choose an empty database.",
                )  # fmt: skip
        make_centre(centre)
        make_study_group(study_group, disease)
        user = make_user(username, password)
        give_role(user, Role.ADMINISTRATOR)
