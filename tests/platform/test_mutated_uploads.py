"""Damaged uploads: never an error of the platform, never a hang, nothing half-stored."""

from __future__ import annotations

import os

import pytest
from body_mutations import MUTATIONS
from mutated_uploads import send_mutations
from platform_world import hospital

from covidlit.platform.accounts.rights import Role

pytestmark = pytest.mark.django_db

N = int(os.environ.get("COVIDLIT_MUTATIONS", "500"))
"""How many are sent; benchmarks/platform_mutations.py sends others."""


def test_damaged_uploads_are_refused_and_leave_nothing_half_done() -> None:
    done = send_mutations(hospital("north").client(Role.PHYSICIAN), range(N), seed=16)
    assert done.faults == [], "\n".join(done.faults)
    assert sum(done.statuses.values()) == N >= 3 * len(MUTATIONS)
    # Some are harmless, as bytes of pixels that are others, and are taken.
    assert done.taken_in > N // 20
    assert done.statuses[400] + done.statuses[409] > N // 5
