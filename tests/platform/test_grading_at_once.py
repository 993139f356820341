"""Graders at the same time, queues against what a scan's history says, and the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from grading_rush import N_GRADERS, N_SCANS
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from platform_world import Hospital, hospital

from covidlit.cohort.manifest import read_manifest
from covidlit.platform.accounts.models import User
from covidlit.platform.accounts.people import give_role
from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.folder import PlatformFolder
from covidlit.platform.grading import giving
from covidlit.platform.grading.giving import GradeRefused, Judgement, Overtaken, Seen, give
from covidlit.platform.grading.models import Grade, Level
from covidlit.platform.grading.standing import State, standing_of
from covidlit.platform.grading.waiting import waiting
from covidlit.platform.registry.models import Labelling, Scan

GOOD = Judgement(quality_grade="good")


@pytest.mark.slow
def test_of_many_at_once_one_grades_each_scan(tmp_path: Path) -> None:
    script = Path(__file__).with_name("grading_rush.py")
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO", "COVIDLIT"))}
    variables["PYTHONPATH"] = os.pathsep.join([str(script.parent), *sys.path])
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "own")], env=variables, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    total = 2 * N_SCANS
    assert Counter(found["came"]) == {"given": total, "overtaken": total * (N_GRADERS - 1)}
    assert found["grades"] == [[pk, n, n] for pk in sorted(found["scans"]) for n in (1, 2)]
    assert found["claims"] == 0
    assert found["broken"] is None

    # What lies in the folder now is what the command exports.
    out = tmp_path / "graded.csv"
    command = [sys.executable, "-m", "covidlit", "platform", "export-manifest"]
    command += [str(tmp_path / "own"), "--out", str(out)]
    subprocess.run(command, env=variables, check=True, capture_output=True)
    table = read_manifest(out)
    assert Counter(table["label_status"]) == {"approved": N_SCANS, "ungraded": 2}
    places = {Path(path).parent.parent.parent for path in table["path"]}
    assert places == {PlatformFolder(tmp_path / "own").scans}
    subprocess.run(command, env=variables, check=True, capture_output=True)  # over its own
    out.write_text("a,b\n1,2\n")
    again = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert again.returncode == 2
    assert out.read_text() == "a,b\n1,2\n"


@pytest.mark.django_db
def test_the_database_decides_where_two_saw_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    own = hospital("north")
    one, other = (User.objects.create(username=name) for name in ("one", "other"))
    scan = own.scans[0]
    stale = standing_of(scan, "covid-19")
    give(scan, "covid-19", one, Level.FIRST, Seen.of(stale), GOOD)
    looks = iter([stale, standing_of(scan, "covid-19")])
    monkeypatch.setattr(giving, "standing_of", lambda *_: next(looks))
    with pytest.raises(Overtaken, match="one graded it as the first"):
        give(scan, "covid-19", other, Level.FIRST, Seen.of(stale), GOOD)
    assert Grade.objects.get().grader == one
    assert Entry.objects.filter(action__startswith="graded").count() == 1


EVENTS = st.lists(
    st.sampled_from(["first A", "first B", "second A", "second B", "second C", "measured"]),
    max_size=7,
)


@pytest.fixture
def graders() -> tuple[Hospital, dict[str, User]]:
    own = hospital("north")
    people = {name: User.objects.create(username=name) for name in "ABC"}
    for user in people.values():
        for role in (Role.GRADER_FIRST, Role.GRADER_SECOND):
            give_role(user, role, own.centre, own.group)
    return own, people


@pytest.mark.django_db
@examples(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(events=EVENTS)
def test_the_queues_are_what_the_histories_say(
    events: list[str], graders: tuple[Hospital, dict[str, User]]
) -> None:
    own, people = graders
    n = Scan.objects.count()
    scan = Scan.objects.create(
        patient=own.patient, scan_id=f"S{n}", n_slices=3, spacing_mm=[5, 1, 1]
    )
    firsts: list[str] = []
    settled, version = None, 0  # what the second verified, by this test's own account
    for event in events:
        if event == "measured":
            version += 1
            Labelling.objects.create(scan=scan, version=version, labelled_by="x", factors={})
            continue
        level, name = event.split()
        own_level = Level.FIRST if level == "first" else Level.SECOND
        try:
            give(
                scan,
                "covid-19",
                people[name],
                own_level,
                Seen.of(standing_of(scan, "covid-19")),
                GOOD,
            )
        except GradeRefused:
            allowed = not firsts or firsts[-1] == name
            if level == "second":
                allowed = bool(firsts) and name not in firsts
            assert not allowed
            continue
        if level == "first":
            firsts.append(name)
        else:
            settled = (len(firsts), version)
    standing = standing_of(scan, "covid-19")
    done = settled == (len(firsts), version)
    wanted = {
        (not firsts, False, False): State.UNGRADED,
        (False, False, False): State.GRADED,
        (False, True, False): State.OUTDATED,
        (False, True, True): State.APPROVED,
    }[(not firsts, settled is not None, done)]
    assert standing.state is wanted
    for name, user in people.items():
        mine = User.objects.get(pk=user.pk)
        assert waiting(mine, Level.FIRST, "covid-19").filter(pk=scan.pk).exists() is (not firsts)
        waits = bool(firsts) and not done and name not in firsts
        assert waiting(mine, Level.SECOND, "covid-19").filter(pk=scan.pk).exists() is waits
