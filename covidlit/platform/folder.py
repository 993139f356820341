"""The folder of a platform: `platform.toml`, the secret key, the database and what it stores."""

from __future__ import annotations

import os
import secrets
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from covidlit.errors import ConfigError
from covidlit.files import make_folder, write_text
from covidlit.platform.pacs.settings import Destination, ReceiverSettings, check_names

VARIABLE = "COVIDLIT_PLATFORM"
"""Environment variable: the folder of the platform that Django's settings are made from."""

SETTINGS_FILE = "platform.toml"
SECRET_FILE = "secret.key"

TEMPLATE = """\
# Settings of this platform. After a change, stop `covidlit platform serve` and start it again.
title = "{title}"
database = ""                # postgresql://user:password@host/name; empty: db.sqlite3 here
hosts = ["localhost", "127.0.0.1", "[::1]"]  # names under which browsers reach it
https = false                # true behind a proxy that ends TLS: cookies go by HTTPS alone

[sessions]
idle_minutes = 30            # a session ends after so long without a click
longest_hours = 12           # and after so long in any case

[uploads]
max_gib = 8.0                # of one upload, unpacked
max_files = 20000            # of one upload

[jobs]
workers = 1                  # processes that read and measure scans
max_minutes = 120.0          # of one job
max_gib = 12.0               # memory of one job
lost_seconds = 45.0          # without a sign of its worker, a job is given to another one

[models]
lesions = ""                 # run of model=maskrcnn, or its exported folder, that labels new scans
severity = ""                # run of a model of tables that scores patients

# [[destinations]]           # an archive that results are sent to, after a person's confirmation
# name = "pacs"
# kind = "dicomweb"
# url = "https://pacs.example.org/dicom-web"
# user = "covidlit"
# password_file = "/etc/covidlit/pacs-password"  # or password_variable; token_file, token_variable
# ca_file = ""               # certificates to trust; empty: those of the system
# centres = ["north"]        # whose scans it is for; without this line: those of all
# fetch = true               # scans may be fetched from it too

# [[destinations]]
# name = "old-pacs"
# kind = "dimse"             # C-STORE
# host = "pacs.example.org"
# port = 104
# ae_title = "PACS"          # its own
# calling_ae_title = "COVIDLIT"

# [receiver]                 # takes scans that scanners and archives send by C-STORE
# centre = "north"
# study_group = "clinic"
# ae_title = "COVIDLIT"
# host = "0.0.0.0"
# port = 11112
# callers = [{{ ae_title = "CT1", address = "192.0.2.7" }}]
"""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SessionSettings(_Strict):
    """When a session ends."""

    idle_minutes: float = Field(default=30.0, gt=0)
    longest_hours: float = Field(default=12.0, gt=0)


class UploadSettings(_Strict):
    """How much one upload may be."""

    max_gib: float = Field(default=8.0, gt=0)
    max_files: int = Field(default=20_000, gt=0)


class JobSettings(_Strict):
    """How many jobs run at a time, and what one may take."""

    workers: int = Field(default=1, ge=1)
    max_minutes: float = Field(default=120.0, gt=0)
    max_gib: float = Field(default=12.0, gt=0)
    lost_seconds: float = Field(default=45.0, ge=5)


class ModelSettings(_Strict):
    """Trained models that new scans are given to; empty: none."""

    lesions: str = ""
    severity: str = ""


class PlatformSettings(_Strict):
    """What stands in `platform.toml`."""

    title: str = "covidlit"
    database: str = ""
    hosts: list[str] = ["localhost", "127.0.0.1", "[::1]"]
    https: bool = False
    sessions: SessionSettings = SessionSettings()
    uploads: UploadSettings = UploadSettings()
    jobs: JobSettings = JobSettings()
    models: ModelSettings = ModelSettings()
    destinations: tuple[Destination, ...] = ()
    receiver: ReceiverSettings | None = None

    @field_validator("destinations")
    @classmethod
    def _one_of_a_name(cls, found: tuple[Destination, ...]) -> tuple[Destination, ...]:
        check_names(found)
        return found


class PlatformFolder:
    """Where a platform keeps everything.

    Attributes:
        root: the folder.
        settings: of `platform.toml`.
        secret: signs sessions; kept in `secret.key`, readable by the owner alone.

    Raises:
        ConfigError: it is no folder of a platform, or a setting is wrong.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()
        path = self.root / SETTINGS_FILE
        if not path.is_file():
            raise ConfigError(
                f"there is no {SETTINGS_FILE} in it.", where=self.root,
                fix=f"make the platform first: covidlit platform init {self.root}",
            )  # fmt: skip
        self.settings = _read(path)
        self.secret = (self.root / SECRET_FILE).read_text(encoding="ascii").strip()

    @property
    def database(self) -> Path:
        """The file of SQLite, where no other database is set."""
        return self.root / "db.sqlite3"

    @property
    def scans(self) -> Path:
        """Scans as they came, one folder each."""
        return self.root / "scans"

    @property
    def results(self) -> Path:
        """Labels, volumes to draw from and DICOM objects, one folder for each labelling."""
        return self.root / "results"

    @property
    def received(self) -> Path:
        """What the receiver has got by C-STORE and not handed over to an upload yet."""
        return self.root / "received"

    @property
    def uploads(self) -> Path:
        """Uploads that are not taken in yet."""
        return self.root / "uploads"


def make_platform_folder(root: str | Path, title: str = "covidlit") -> PlatformFolder:
    """Make the folder of a new platform; a secret that is there is kept.

    Raises:
        ConfigError: there is a platform already.
        CovidlitError: it cannot be written.
    """
    root = Path(root).absolute()
    if (root / SETTINGS_FILE).exists():
        raise ConfigError(
            "there is a platform already.", where=root,
            fix=f"start it (covidlit platform serve {root}), or choose another folder.",
        )  # fmt: skip
    make_folder(root).chmod(0o700)  # scans hold who the patients are
    for name in ("scans", "results", "uploads"):
        make_folder(root / name)
    secret = root / SECRET_FILE
    if not secret.exists():
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(64))
    escaped = "".join(c for c in title if c.isprintable()).replace("\\", "\\\\")
    escaped = escaped.replace('"', '\\"')
    write_text(root / SETTINGS_FILE, TEMPLATE.format(title=escaped))  # last: it is a platform now
    return PlatformFolder(root)


def current_folder() -> PlatformFolder:
    """The platform that `COVIDLIT_PLATFORM` names.

    Raises:
        ConfigError: it names none.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        raise ConfigError(
            "is not set: it names the folder of the platform.", where=VARIABLE,
            fix="start the platform by `covidlit platform serve DIR`, which sets it.",
        )  # fmt: skip
    return PlatformFolder(named)


def _read(path: Path) -> PlatformSettings:
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return PlatformSettings(**content)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"it is no TOML: {error}.", where=path, fix="mend that line.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        # The value of an unknown name may be a password that somebody wrote here.
        got = "" if first["type"] == "extra_forbidden" else f", got {first['input']!r}"
        raise ConfigError(
            f"{place}: {first['msg']}{got}.", where=path,
            fix="mend it; what can be set stands in a new platform's file.",
        ) from error  # fmt: skip
