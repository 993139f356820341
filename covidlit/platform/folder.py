"""The folder of a platform: `platform.toml`, the secret key, the database and what it stores."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from covidlit.errors import ConfigError
from covidlit.files import make_folder, write_text
from covidlit.platform.diseases.disease import NO_MODEL, Disease
from covidlit.platform.diseases.read import OWN, read_diseases
from covidlit.platform.named_files import SETTINGS_FILE as SETTINGS_FILE
from covidlit.platform.options import TEMPLATE, ModelSettings, read_options

VARIABLE = "COVIDLIT_PLATFORM"
"""Environment variable: the folder of the platform that Django's settings are made from."""

SECRET_FILE = "secret.key"

REMOVED = ".removed."
"""How names of folders begin that are being removed."""

NEW = ".new"
"""Among the scans: those that are being put there, by their upload."""

UNFINISHED = re.compile(
    rf"^(\.lock|{re.escape(NEW)}|.*\.[0-9a-f]{{8}}\.part(\.\w+)*|\..*\.[0-9a-f]{{12}})$"
)
"""Names of what is being written, and of locks, anywhere below the folder."""


class PlatformFolder:
    """Where a platform keeps everything.

    Attributes:
        root: the folder.
        settings: of `platform.toml`.
        diseases: that patients can be followed for, by name.
        secret: signs sessions; kept in `secret.key`, readable by the owner alone.

    Raises:
        ConfigError: it is no folder of a platform, or a setting or a disease is wrong.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).absolute()
        path = self.root / SETTINGS_FILE
        if not path.is_file():
            raise ConfigError(
                f"there is no {SETTINGS_FILE} in it.", where=self.root,
                fix=f"make the platform first: covidlit platform init {self.root}",
            )  # fmt: skip
        self.settings = read_options(path)
        self.diseases = read_diseases(self.root / OWN)
        self.secret = (self.root / SECRET_FILE).read_text(encoding="ascii").strip()

    def models_of(self, disease: Disease) -> ModelSettings:
        """The models that label and score a disease; empty: none."""
        found = {}
        for name, usual in self.settings.models:
            own = getattr(disease.models, name) or usual
            found[name] = "" if own == NO_MODEL else own
        return ModelSettings(**found)

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

    def removing(self) -> FileLock:
        """Held while folders of uploads are removed, and while a backup makes sure of them."""
        return FileLock(self.root / ".removing")

    def remove(self, folder: Path) -> None:
        """Remove a folder of uploads all at once: nobody, and no backup, finds a part of it."""
        away = folder.with_name(f"{REMOVED}{folder.name}.{secrets.token_hex(4)}")
        with self.removing(), suppress(FileNotFoundError):
            folder.rename(away)
        # Of a process that was killed on the way, too.
        for each in folder.parent.glob(f"{REMOVED}{folder.name}.*"):
            shutil.rmtree(each, ignore_errors=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes were writing below a folder, for whoever is alone in it."""
    for path in list(folder.rglob("*")):
        if UNFINISHED.match(path.name) and path.name != ".lock":
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def make_platform_folder(
    root: str | Path, title: str = "covidlit", database: str = ""
) -> PlatformFolder:
    """Make the folder of a new platform; a secret that is there is kept.

    Args:
        root: the folder.
        title: what its pages are headed with.
        database: address of a PostgreSQL database; empty: SQLite.

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
    text = TEMPLATE.format(title=escaped, database=json.dumps(database))
    write_text(root / SETTINGS_FILE, text)  # last: it is a platform now
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


def origin_of(address: str) -> str:
    """Scheme, host and port of an address, as browsers' policies name them; empty without."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
