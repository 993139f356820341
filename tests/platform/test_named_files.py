"""Files that the settings name: found from wherever the platform is started; secrets that are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import certifi
import pytest
from pydantic import AfterValidator, BaseModel

from covidlit.errors import ConfigError
from covidlit.platform.folder import VARIABLE, PlatformFolder, make_platform_folder
from covidlit.platform.named_files import certificates, read_secret
from covidlit.platform.options import PlatformSettings
from covidlit.platform.pacs.settings import DicomwebArchive, DimseArchive
from covidlit.platform.pacs.web import Web

ARCHIVES = """
[[destinations]]
name = "web"
kind = "dicomweb"
url = "http://127.0.0.1:9/dicom-web"
user = "covidlit"
password_file = "secrets/pacs"
ca_file = "ca.pem"
[[destinations]]
name = "token"
kind = "dicomweb"
url = "http://127.0.0.1:9/dicom-web"
token_file = "/elsewhere/token"
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A platform's folder, from elsewhere."""
    found = make_platform_folder(tmp_path / "platform").root
    away = tmp_path / "away"
    away.mkdir()
    monkeypatch.chdir(away)
    return found


def _set(root: Path, *changes: tuple[str, str], more: str = "") -> PlatformFolder:
    path = root / "platform.toml"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text + more)
    return PlatformFolder(root)


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    for name, about in model.model_fields.items():
        yield name, about
        inner = [about.annotation, *get_args(about.annotation)]
        for each in inner:
            if isinstance(each, type) and issubclass(each, BaseModel):
                yield from _fields(each)


def test_every_setting_that_names_a_file_begins_in_the_folder() -> None:
    found = {
        name: about
        for model in (PlatformSettings, DicomwebArchive, DimseArchive)
        for name, about in _fields(model)
        if name.endswith("_file")
    }
    assert set(found) == {
        "password_file", "token_file", "ca_file", "client_secret_file", "bind_password_file",
    }  # fmt: skip
    for name, about in found.items():
        assert any(isinstance(each, AfterValidator) for each in about.metadata), name


def test_relative_paths_begin_in_the_folder_and_absolute_ones_stay(root: Path) -> None:
    settings = _set(
        root,
        ('client_secret_file = ""', 'client_secret_file = "oidc"'),
        ('bind_password_file = ""', 'bind_password_file = "secrets/ldap"'),
        ('lesions = ""', 'lesions = "masks:truth"'),
        ('severity = ""', 'severity = "runs/severity"'),
        more=ARCHIVES,
    ).settings
    web, token = settings.destinations
    assert isinstance(web, DicomwebArchive)
    assert isinstance(token, DicomwebArchive)
    assert settings.oidc.client_secret_file == str(root / "oidc")
    assert settings.ldap.bind_password_file == str(root / "secrets" / "ldap")
    assert settings.ldap.ca_file == ""
    assert (web.password_file, web.ca_file) == (str(root / "secrets/pacs"), str(root / "ca.pem"))
    assert token.token_file == "/elsewhere/token"
    assert settings.models.lesions == f"masks:{root / 'truth'}"
    assert settings.models.severity == str(root / "runs/severity")


def test_a_secret_in_the_folder_is_read_by_django_and_archives(root: Path) -> None:
    folder = _set(
        root,
        ('[oidc]\nserver = ""', '[oidc]\nserver = "http://127.0.0.1:9"'),
        ('client_secret_file = ""', 'client_secret_file = "secrets/oidc"'),
        more=ARCHIVES.replace('ca_file = "ca.pem"\n', ""),
    )
    (root / "secrets").mkdir()
    for name in ("oidc", "pacs"):
        (root / "secrets" / name).write_text(f"secret of {name}\n")
    archive = folder.settings.destinations[0]
    assert isinstance(archive, DicomwebArchive)
    assert archive.password() == "secret of pacs"
    with Web(archive) as web:
        assert web._session.auth.password == b"secret of pacs"  # type: ignore[union-attr]
    variables = {**os.environ, VARIABLE: str(root)}
    told = subprocess.run(
        [sys.executable, "-c",
         "from django.conf import settings as s; "
         "print(s.SOCIALACCOUNT_PROVIDERS['openid_connect']['APPS'][0]['secret'])"],
        env=variables, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert told == "secret of oidc\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe", "is no text"),
        ("folder", "Is a directory"),
    ],
)
def test_a_secret_that_cannot_be_used_is_told_by_its_setting(
    root: Path, content: bytes | str | None, said: str
) -> None:
    archive = _set(root, more=ARCHIVES).settings.destinations[0]
    assert isinstance(archive, DicomwebArchive)
    place = root / "secrets" / "pacs"
    place.parent.mkdir()
    if isinstance(content, bytes):
        place.write_bytes(content)
    elif content == "folder":
        place.mkdir()
    with pytest.raises(ConfigError, match=said) as found:
        archive.password()
    assert str(found.value).startswith("password_file of [[destinations]] web in platform.toml"), (
        found.value
    )


def test_a_secret_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "secret"
    place.write_text("word")
    place.chmod(0o644)
    # Of a file that anybody might read, but in a folder that nobody else enters.
    assert read_secret("[ldap] bind_password_file", str(place)) == "word"
    opened = list(place.parents)
    before = {each: each.stat().st_mode for each in opened}
    try:
        for each in opened:
            if not each.stat().st_mode & 0o001:
                each.chmod(each.stat().st_mode | 0o001)
        with pytest.raises(ConfigError, match="everybody on this machine may read") as found:
            read_secret("[ldap] bind_password_file", str(place))
        assert "[ldap] bind_password_file" in str(found.value)
        place.chmod(0o640)
        assert read_secret("[ldap] bind_password_file", str(place)) == "word"
    finally:
        for each, mode in before.items():
            each.chmod(mode)


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_certificates_that_are_none_are_told_by_their_setting(
    root: Path, content: str | None
) -> None:
    archive = _set(root, more=ARCHIVES.replace('"covidlit"\npassword_file = "secrets/pacs"', '""'))
    if content is not None:
        (root / "ca.pem").write_text(content)
    own = archive.settings.destinations[0]
    assert isinstance(own, DicomwebArchive)
    with pytest.raises(ConfigError, match=r"ca_file of \[\[destinations\]\] web"):
        Web(own)


def test_certificates_are_taken() -> None:
    assert certificates("[ldap] ca_file", certifi.where()) == certifi.where()
    assert certificates("[ldap] ca_file", "") == ""
