"""Who sees what: rights hold in a centre and a study group, and nowhere else."""

from __future__ import annotations

import pytest
from django.http import Http404
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covidlit.platform.accounts.models import Centre, StudyGroup, User
from covidlit.platform.accounts.people import give_role, make_user, take_role
from covidlit.platform.accounts.rights import RIGHTS, Right, Role
from covidlit.platform.accounts.scoped import one_seen_by
from covidlit.platform.registry.models import Identity, Labelling, Lesion, Patient, Scan

pytestmark = pytest.mark.django_db

PLACES = [None, 0, 1]


class World:
    """Two centres, two study groups, a patient of each combination and one of both groups."""

    def __init__(self) -> None:
        self.centres = [Centre.objects.create(name=name) for name in ("north", "south")]
        self.groups = [StudyGroup.objects.create(name=name) for name in ("clinic", "trial")]
        self.members: dict[str, tuple[int, set[int]]] = {}
        for centre in (0, 1):
            for groups in ({0}, {1}, {0, 1}):
                name = f"P{centre}-{''.join(map(str, sorted(groups)))}"
                patient = Patient.objects.create(pseudonym=name, centre=self.centres[centre])
                patient.study_groups.set(self.groups[group] for group in groups)
                self.members[name] = (centre, groups)
                Identity.objects.create(patient=patient, hospital_id=name)
                scan = Scan.objects.create(
                    patient=patient, scan_id=f"scan-{name}", n_slices=3, spacing_mm=[5, 1, 1]
                )
                labelling = Labelling.objects.create(scan=scan, version=1, factors={})
                Lesion.objects.create(
                    labelling=labelling, number=1, kind="fibrosis", slice_index=1, factors={}
                )

    def user(self, *roles: tuple[Role, int | None, int | None]) -> User:
        user = make_user("somebody", "a long enough phrase")
        for role, centre, group in roles:
            give_role(
                user, role,
                None if centre is None else self.centres[centre],
                None if group is None else self.groups[group],
            )  # fmt: skip
        return User.objects.get(pk=user.pk)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    roles=st.lists(
        st.tuples(st.sampled_from(list(Role)), st.sampled_from(PLACES), st.sampled_from(PLACES)),
        max_size=3,
    ),
    right=st.sampled_from(list(Right)),
)
def test_each_row_is_seen_exactly_where_a_role_with_the_right_holds(
    roles: list[tuple[Role, int | None, int | None]], right: Right
) -> None:
    from django.db import transaction

    with transaction.atomic():
        world = World()
        user = world.user(*roles)
        expected = sorted(
            name
            for name, (own_centre, own_groups) in world.members.items()
            if any(
                right in RIGHTS[role]
                and centre in (None, own_centre)
                and (group is None or group in own_groups)
                for role, centre, group in roles
            )
        )
        seen = Patient.objects.seen_by(user, right)
        assert sorted(patient.pseudonym for patient in seen) == expected
        for model, name in (
            (Identity, "patient__pseudonym"), (Scan, "patient__pseudonym"),
            (Labelling, "scan__patient__pseudonym"),
            (Lesion, "labelling__scan__patient__pseudonym"),
        ):  # fmt: skip
            found = model.objects.seen_by(user, right).values_list(name, flat=True)
            assert sorted(found) == expected
        transaction.set_rollback(True)


def test_what_is_not_seen_is_not_there() -> None:
    world = World()
    user = world.user((Role.READER, 0, None))
    assert one_seen_by(Scan.objects.all(), user, Right.VIEW, scan_id="scan-P0-0").n_slices == 3
    for foreign in ("scan-P1-0", "no such scan"):
        with pytest.raises(Http404):
            one_seen_by(Scan.objects.all(), user, Right.VIEW, scan_id=foreign)
    with pytest.raises(Http404):
        one_seen_by(Identity.objects.all(), user, Right.IDENTIFY, hospital_id="P0-0")


def test_a_right_that_was_taken_is_gone_in_the_next_request() -> None:
    world = World()
    user = world.user((Role.READER, None, None))
    assert Patient.objects.seen_by(user, Right.VIEW).count() == 6
    take_role(user.memberships.get())
    again = User.objects.get(pk=user.pk)
    assert not Patient.objects.seen_by(again, Right.VIEW).exists()
    again.is_active = False
    assert again.rights_anywhere() == frozenset()
