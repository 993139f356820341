"""People, centres, study groups, and who is what where."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower

from covidlit.platform.accounts.rights import RIGHTS, Right, Role, Scope
from covidlit.platform.diseases.disease import DEFAULT_DISEASE, LARGEST_NAME


class Centre(models.Model):
    """A hospital or department whose patients are kept apart from those of others."""

    name = models.SlugField(max_length=80, unique=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class StudyGroup(models.Model):
    """Patients who are looked at for a purpose, such as a study or the clinic's own work.

    They are followed for its disease, and whoever works for it alone sees labellings of that one.
    """

    name = models.SlugField(max_length=80, unique=True)
    disease = models.CharField(
        max_length=LARGEST_NAME, default=DEFAULT_DISEASE, help_text="that it follows"
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def in_words(self) -> str:
        """Its name, with the title of what it follows."""
        found = settings.FOLDER.diseases.get(self.disease)
        return f"{self.name} ({found.title})" if found else self.name


class User(AbstractUser):
    """A person with an account; what he may do follows from his memberships alone.

    Names that differ in capitals alone are one.
    """

    password_is_first = models.BooleanField(
        default=False, help_text="somebody else chose it: it has to be changed at the log-in"
    )
    OIDC, LDAP = "oidc", "ldap"

    directory = models.CharField(
        max_length=8, blank=True, choices=[(OIDC, OIDC), (LDAP, LDAP)],
        help_text="the hospital's, which the account comes from; empty: from the platform itself",
    )  # fmt: skip

    class Meta:
        constraints = (
            models.UniqueConstraint(
                Lower("username"),
                name="one_account_of_a_name",
                violation_error_message="A user with that username already exists.",
            ),
        )

    def rights_anywhere(self) -> frozenset[Right]:
        """What the person may do in one scope at least."""
        roles = {membership.role_of for membership in self._memberships()}
        return frozenset(right for role in roles for right in RIGHTS[role])

    def scopes_with(self, right: Right) -> list[Scope]:
        """Where the person has a right; asked of the database in each request anew."""
        return [
            Scope(each.centre_id, each.study_group_id)
            for each in self._memberships()
            if right in RIGHTS[each.role_of]
        ]

    def forget_memberships(self) -> None:
        """Ask the database anew, after roles were given or taken in this request."""
        self.__dict__.pop("_known_memberships", None)

    def _memberships(self) -> list[Membership]:
        if not self.is_active:
            return []
        # A request has a user object of its own, so that nothing outlives it.
        if not hasattr(self, "_known_memberships"):
            self._known_memberships = list(self.memberships.all())
        return self._known_memberships


class Membership(models.Model):
    """A role of a person in a centre and a study group; empty: in all of them."""

    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=32, choices=[(role.name, role.value) for role in Role])
    centre = models.ForeignKey(Centre, models.PROTECT, null=True, blank=True)
    study_group = models.ForeignKey(StudyGroup, models.PROTECT, null=True, blank=True)
    of_directory = models.BooleanField(
        default=False, help_text="follows from the person's groups in the hospital's directory"
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("user", "role", "centre", "study_group"),
                nulls_distinct=False,
                name="one_membership_of_a_kind",
            ),
        )

    def __str__(self) -> str:
        return f"{self.user}: {self.words}"

    @property
    def words(self) -> str:
        """What the person is, and where."""
        centre = self.centre or "all centres"
        group = self.study_group or "all study groups"
        return f"{self.role_of.value} in {centre}, {group}"

    @property
    def role_of(self) -> Role:
        """The role as such."""
        return Role[self.role]
