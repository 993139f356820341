"""What can be set in `platform.toml`, and the file of a new platform."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    ValidationError,
    field_validator,
)

from covidlit.errors import ConfigError, did_you_mean
from covidlit.platform.accounts.rights import Role
from covidlit.platform.grading.choices import GradingSettings
from covidlit.platform.named_files import NamedFile, NamedModel, certificates, read_secret
from covidlit.platform.pacs.settings import Destination, ReceiverSettings, check_names

_SLUG = r"^[-a-zA-Z0-9_]{0,80}$"

TEMPLATE = """\
# Settings of this platform. After a change, stop `covidlit platform serve` and start it again.
# Files that are named here without a / at the start lie in this folder.
title = "{title}"
database = {database}                # postgresql://user:password@host/name; empty: db.sqlite3 here
hosts = ["localhost", "127.0.0.1", "[::1]"]  # names under which browsers reach it
https = false                # true behind a proxy that ends TLS: cookies go by HTTPS alone

[sessions]
idle_minutes = 30            # a session ends after so long without a click
longest_hours = 12           # and after so long in any case

[accounts]
second_factor = "administrators"  # who must have one: administrators, everybody, or optional

[uploads]
max_gib = 8.0                # of one upload, unpacked
max_files = 20000            # of one upload
max_open = 5                 # uploads of one person that are not taken in yet
keep_hours = 168.0           # files of an upload that nobody goes on with are removed then

[jobs]
workers = 1                  # processes that read and measure scans; 0: elsewhere (`work`)
max_minutes = 120.0          # of one job
max_gib = 12.0               # memory of one job
lost_seconds = 45.0          # without a sign of its worker, a job is given to another one

[operation]
log = "plain"                # or json: a line of JSON for each entry; quiet: problems alone
metrics_from = ["127.0.0.1", "::1"]  # addresses and networks that may read /metrics/

[directory]                  # accounts of the hospital's own directory, by [oidc] or [ldap]
check_minutes = 10.0         # so often a session asks again which groups the person is in

[oidc]
server = ""                  # https://id.hospital.example; empty: none
client_id = ""
client_secret_file = ""      # of one line, readable by the platform alone
scopes = ["openid", "profile"]  # some providers tell of groups with "groups" alone
groups_claim = "groups"      # what the provider calls the list of groups

[ldap]                       # needs pip install 'covidlit[ldap]'
server = ""                  # ldaps://ldap.hospital.example; empty: none
bind_dn = ""                 # account that may search; empty: anybody may
bind_password_file = ""
users = ""                   # ou=people,dc=hospital,dc=example
user_filter = "(uid=%(user)s)"
groups = ""                  # ou=groups,dc=hospital,dc=example
group_filter = "(objectClass=groupOfNames)"
group_kind = "groupOfNames"  # or posixGroup, activeDirectory
start_tls = false
ca_file = ""                 # certificate of the directory's authority

# Roles of the directory's groups, one such part for each:
# [[group_roles]]
# group = "radiology"
# role = "reader"            # annotator, grader_first, grader_second, physician, administrator
# centre = "north"           # empty: all
# study_group = ""           # empty: all

[exports]
keep_days = 7.0              # then the file of an export is removed

[models]
lesions = ""                 # run of model=maskrcnn, or its exported folder, that labels new scans
severity = ""                # run of a model of tables that scores patients

[grading]
blind = false                # true: the second grader does not see what the first said
quality_grades = ["good", "fair", "poor"]
classes = ["covid", "cap", "np"]  # class_name of a manifest; []: not asked for
severities = ["mild", "moderate", "severe", "critical"]  # []: not asked for
exclusion_reasons = [
  "motion artefact", "metal artefact", "low resolution", "lungs cut off", "no chest CT",
]
claim_minutes = 20           # so long nobody else is given a scan that somebody has open

# [[destinations]]           # an archive that results are sent to, after a person's confirmation
# name = "pacs"
# kind = "dicomweb"
# url = "https://pacs.example.org/dicom-web"
# user = "covidlit"
# password_file = "pacs-password"  # or password_variable; token_file, token_variable
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


class AccountSettings(_Strict):
    """Who must have a second factor."""

    second_factor: Literal["optional", "administrators", "everybody"] = "administrators"


class UploadSettings(_Strict):
    """How much one upload may be, and how long one is kept that nobody goes on with."""

    max_gib: float = Field(default=8.0, gt=0)
    max_files: int = Field(default=20_000, gt=0)
    max_open: int = Field(default=5, gt=0)
    keep_hours: float = Field(default=168.0, gt=0)


class JobSettings(_Strict):
    """How many jobs run at a time, and what one may take."""

    workers: int = Field(default=1, ge=0)
    max_minutes: float = Field(default=120.0, gt=0)
    max_gib: float = Field(default=12.0, gt=0)
    lost_seconds: float = Field(default=45.0, ge=5)


class OperationSettings(_Strict):
    """What the platform tells those who run it."""

    log: Literal["plain", "json", "quiet"] = "plain"
    metrics_from: list[IPvAnyNetwork] = Field(default=["127.0.0.1", "::1"], validate_default=True)


class ExportSettings(_Strict):
    """How long the file of an export is kept."""

    keep_days: float = Field(default=7.0, gt=0)


class ModelSettings(_Strict):
    """Trained models that new scans are given to; empty: none."""

    lesions: NamedModel = ""
    severity: NamedFile = ""


class DirectorySettings(_Strict):
    """How accounts of the hospital's directory are treated."""

    check_minutes: float = Field(default=10.0, gt=0)


class OidcSettings(_Strict):
    """An OpenID Connect provider."""

    server: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")
    client_id: str = ""
    client_secret_file: NamedFile = ""
    scopes: list[str] = ["openid", "profile"]
    groups_claim: str = "groups"

    def client_secret(self) -> str:
        """The secret of the client; empty: none. Raises ConfigError: it cannot be read."""
        return read_secret("[oidc] client_secret_file", self.client_secret_file)


class LdapSettings(_Strict):
    """An LDAP directory."""

    server: str = Field(default="", pattern=r"^(ldap[si]?://[^\s]+)?$")
    bind_dn: str = ""
    bind_password_file: NamedFile = ""
    users: str = ""
    user_filter: str = "(uid=%(user)s)"
    groups: str = ""
    group_filter: str = "(objectClass=groupOfNames)"
    group_kind: Literal["groupOfNames", "posixGroup", "activeDirectory"] = "groupOfNames"
    start_tls: bool = False
    ca_file: NamedFile = ""

    def bind_password(self) -> str:
        """The password of `bind_dn`; empty: none. Raises ConfigError: it cannot be read."""
        return read_secret("[ldap] bind_password_file", self.bind_password_file)

    def certificates(self) -> str:
        """The file of certificates; empty: none. Raises ConfigError: it holds none."""
        return certificates("[ldap] ca_file", self.ca_file)


class GroupRole(_Strict):
    """What people of a group of the directory are."""

    group: str = Field(min_length=1)
    role: Role
    centre: str = Field(default="", pattern=_SLUG)
    study_group: str = Field(default="", pattern=_SLUG)

    @field_validator("role", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        known = {role.name.lower(): role for role in Role}
        if value not in known and not isinstance(value, Role):
            raise ValueError(f"is none of {', '.join(known)}")
        return known.get(value, value) if isinstance(value, str) else value


class PlatformSettings(_Strict):
    """What stands in `platform.toml`."""

    title: str = "covidlit"
    database: str = ""
    hosts: list[str] = ["localhost", "127.0.0.1", "[::1]"]
    https: bool = False
    sessions: SessionSettings = SessionSettings()
    accounts: AccountSettings = AccountSettings()
    uploads: UploadSettings = UploadSettings()
    jobs: JobSettings = JobSettings()
    operation: OperationSettings = OperationSettings()
    exports: ExportSettings = ExportSettings()
    models: ModelSettings = ModelSettings()
    directory: DirectorySettings = DirectorySettings()
    oidc: OidcSettings = OidcSettings()
    ldap: LdapSettings = LdapSettings()
    group_roles: list[GroupRole] = []
    grading: GradingSettings = GradingSettings()
    destinations: tuple[Destination, ...] = ()
    receiver: ReceiverSettings | None = None

    @field_validator("destinations")
    @classmethod
    def _one_of_a_name(cls, found: tuple[Destination, ...]) -> tuple[Destination, ...]:
        check_names(found)
        return found


def read_options(path: Path) -> PlatformSettings:
    """The settings in a file; what they name by a relative path lies beside it.

    Raises:
        ConfigError: names the setting that is wrong, and what it may be.
    """
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return PlatformSettings.model_validate(content, context={"root": path.absolute().parent})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"it is no TOML: {error}.", where=path, fix="mend that line.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        # The value of an unknown name may be a password that somebody wrote here.
        unknown = first["type"] == "extra_forbidden"
        said = "there is no such setting" if unknown else f"{first['msg']}, got {first['input']!r}"
        hint = did_you_mean(str(first["loc"][-1]), _names(PlatformSettings)) if unknown else None
        raise ConfigError(
            f"{place}: {said}{f'; {hint}' if hint else '.'}", where=path,
            fix="mend it; what can be set stands in a new platform's file.",
        ) from error  # fmt: skip


def _names(model: type[BaseModel]) -> list[str]:
    """All names that can be set, of sections and in them."""
    found = []
    for name, about in model.model_fields.items():
        found.append(name)
        if isinstance(about.annotation, type) and issubclass(about.annotation, BaseModel):
            found += _names(about.annotation)
    return found
