"""Log-in by LDAP at a real slapd: roles by groups, asked again, and names that are not shared."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse
from platform_world import PASSWORD, hospital

from covidlit.platform.accounts.models import Membership, User
from covidlit.platform.accounts.people import give_role, make_user
from covidlit.platform.accounts.rights import Role
from covidlit.platform.directory.middleware import CHECKED
from covidlit.platform.options import GroupRole, LdapSettings

ldap = pytest.importorskip("ldap", reason="needs pip install 'covidlit[ldap]'")
SLAPD = shutil.which("slapd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/libexec")
SCHEMAS = Path("/etc/ldap/schema")
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        SLAPD is None or not SCHEMAS.is_dir(), reason="needs slapd (Debian: apt install slapd)"
    ),
]

BASE = "dc=hospital,dc=example"
ROOT, SECRET = f"cn=root,{BASE}", "root secret"
THEIRS = "a phrase of the hospital"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("slapd")
    (folder / "data").mkdir()
    schemas = "\n".join(
        f"include {SCHEMAS / f'{n}.schema'}" for n in ("core", "cosine", "inetorgperson")
    )
    (folder / "slapd.conf").write_text(
        f"{schemas}\npidfile {folder}/pid\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n"
        f"database mdb\nsuffix {BASE}\nrootdn {ROOT}\nrootpw \"{SECRET}\"\n"
        f"directory {folder}/data\n"
    )  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"ldap://127.0.0.1:{port}"
    assert SLAPD is not None
    own = subprocess.Popen(
        [SLAPD, "-f", str(folder / "slapd.conf"), "-h", address, "-d", "0"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(address)
        add(address, BASE, objectClass="dcObject organization", dc="hospital", o="Hospital")
        for name in ("people", "groups"):
            add(address, f"ou={name},{BASE}", objectClass="organizationalUnit", ou=name)
        for name in ("ana", "eve", "boss"):
            add(
                address, dn_of(name), objectClass="inetOrgPerson", uid=name, cn=name, sn=name,
                userPassword=[THEIRS],
            )  # fmt: skip
        for name in ("radiology", "kitchen"):
            add(
                address, f"cn={name},ou=groups,{BASE}", objectClass="groupOfNames", cn=name,
                member=[dn_of("eve") if name == "kitchen" else ROOT],
            )  # fmt: skip
        yield address
    finally:
        own.terminate()
        own.wait(20)


def _wait_for(address: str) -> None:
    last = time.monotonic() + 20
    while True:
        try:
            ldap.initialize(address).simple_bind_s(ROOT, SECRET)
            return
        except ldap.SERVER_DOWN:
            assert time.monotonic() < last, "slapd does not answer"
            time.sleep(0.1)


def connection(address: str) -> Any:
    found = ldap.initialize(address)
    found.simple_bind_s(ROOT, SECRET)
    return found


def add(address: str, dn: str, **values: str | list[str]) -> None:
    rows = [
        (name, [each.encode() for each in (value if isinstance(value, list) else value.split())])
        for name, value in values.items()
    ]
    connection(address).add_s(dn, rows)


def dn_of(name: str) -> str:
    return f"uid={name},ou=people,{BASE}"


def join(address: str, group: str, name: str, leave: bool = False) -> None:
    change = ldap.MOD_DELETE if leave else ldap.MOD_ADD
    own = [(change, "member", [dn_of(name).encode()])]
    connection(address).modify_s(f"cn={group},ou=groups,{BASE}", own)


@pytest.fixture
def directory(
    server: str, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    from covidlit.platform.directory.ldap_settings import ldap_settings

    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    own = LdapSettings(
        server=server,
        bind_dn=ROOT,
        bind_password_file=str(secret),
        users=f"ou=people,{BASE}",
        groups=f"ou=groups,{BASE}",
    )
    roles = [GroupRole(group="radiology", role="reader", centre="north")]  # type: ignore[arg-type]
    whole = django_settings.FOLDER.settings.model_copy(update={"ldap": own, "group_roles": roles})
    monkeypatch.setattr(django_settings.FOLDER, "settings", whole)
    for name, value in ldap_settings(own).items():
        setattr(settings, name, value)
    settings.DIRECTORIES = {"ldap": "covidlit.platform.directory.ldap.Ldap"}
    settings.AUTHENTICATION_BACKENDS = [
        *settings.AUTHENTICATION_BACKENDS, "covidlit.platform.directory.ldap.DirectoryBackend",
    ]  # fmt: skip
    join(server, "radiology", "ana")
    yield server
    for group in ("radiology", "kitchen"):
        for name in ("ana", "boss"):
            try:
                join(server, group, name, leave=True)
            except ldap.NO_SUCH_ATTRIBUTE:
                continue


def log_in(name: str, password: str = THEIRS) -> tuple[Client, int]:
    client = Client()
    answer = client.post(reverse("account_login"), {"login": name, "password": password})
    return client, answer.status_code


def roles(name: str) -> set[str]:
    return set(Membership.objects.filter(user__username=name).values_list("role", flat=True))


def later(client: Client) -> None:
    session = client.session
    session[CHECKED] = time.time() - 61 * django_settings.FOLDER.settings.directory.check_minutes
    session.save()


def test_groups_become_roles_and_end_with_them(directory: str) -> None:
    own = hospital("north")
    client, status = log_in("ana")
    assert status == 302
    assert roles("ana") == {"READER"}
    assert client.get(reverse("patient", args=[own.patient.pseudonym])).status_code == 200
    user = User.objects.get(username="ana")
    assert (user.directory, user.has_usable_password()) == ("ldap", False)
    join(directory, "radiology", "ana", leave=True)
    assert client.get("/").status_code == 200
    later(client)
    assert client.get("/").status_code == 302
    assert roles("ana") == set()


def test_capitals_are_the_same_person(directory: str) -> None:
    hospital("north")
    assert log_in("ana")[1] == log_in("Ana")[1] == 302
    assert User.objects.filter(username__iexact="ana").count() == 1


@pytest.mark.parametrize(
    ("name", "password"),
    [("ana", "wrong"), ("ana", ""), ("eve", THEIRS), ("nobody", THEIRS), ("*", THEIRS)],
)
def test_wrong_passwords_and_people_without_a_role_stay_out(
    directory: str, name: str, password: str
) -> None:
    assert log_in(name, password)[1] == 200  # the form again
    assert not User.objects.filter(username=name).exists()


def test_an_account_of_the_same_name_is_not_reached(directory: str) -> None:
    boss = make_user("boss", PASSWORD)
    give_role(boss, Role.ADMINISTRATOR)
    join(directory, "radiology", "boss")
    assert log_in("boss", THEIRS)[1] == 200
    assert log_in("boss", PASSWORD)[1] == 302
    assert roles("boss") == {"ADMINISTRATOR"}


def test_a_directory_that_is_gone_keeps_local_people_in(
    directory: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital("north")
    client, _ = log_in("ana")
    settings.AUTH_LDAP_SERVER_URI = "ldap://127.0.0.1:9"
    make_user("local", PASSWORD)
    assert log_in("local", PASSWORD)[1] == 302
    assert log_in("ana")[1] == 200
    later(client)
    assert client.get("/").status_code == 200  # for a while
    session = client.session
    session[CHECKED] = 0.0
    session.save()
    assert client.get("/").status_code == 302
