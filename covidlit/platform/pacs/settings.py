"""What `platform.toml` says of archives, and of the receiver that archives send to."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from covidlit.errors import ConfigError
from covidlit.platform.named_files import NamedFile, certificates, read_secret

AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[ -\[\]-~]*[!-\[\]-~]$")]
"""Application entity title: up to 16 printable ASCII characters, no backslash (PS3.5, 6.2)."""

Port = Annotated[int, Field(ge=1, le=65535)]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Archive(_Strict):
    """What both kinds have.

    Args:
        name: that people choose it by.
        centres: whose scans it is for; empty: those of all.
        ca_file: certificates that its own must be signed by; empty: those that the system trusts.
        tries: so often it is asked before it counts as gone.
        pause_seconds: before the second try; doubled before each later one.
        timeout_seconds: how long an answer is waited for.
    """

    name: _Name
    centres: tuple[str, ...] = ()
    ca_file: NamedFile = ""
    tries: int = Field(default=5, ge=1, le=20)
    pause_seconds: float = Field(default=5.0, ge=0, le=600)
    timeout_seconds: float = Field(default=60.0, gt=0, le=3600)

    def setting(self, name: str) -> str:
        """What people call one of its settings."""
        return f"{name} of [[destinations]] {self.name}"

    def certificates(self) -> str:
        """The file of certificates; empty: none.

        Raises:
            ConfigError: it holds none.
        """
        return certificates(self.setting("ca_file"), self.ca_file)

    def is_for(self, centre: str) -> bool:
        """Whether scans of a centre may be sent there, and fetched from there for it."""
        return not self.centres or centre in self.centres


class DicomwebArchive(_Archive):
    """An archive that speaks DICOMweb.

    Args:
        url: of its services, below which `studies` lies.
        user: with a password; empty: none.
        password_file, password_variable: where the password is: a file, or a variable of the
            environment.
        token_file, token_variable: the same of a bearer token.
        fetch: whether scans may be fetched from it.
    """

    kind: Literal["dicomweb"]
    url: str
    user: str = ""
    password_file: NamedFile = ""
    password_variable: str = ""
    token_file: NamedFile = ""
    token_variable: str = ""
    fetch: bool = False

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an address such as https://pacs.example.org/dicom-web")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must hold neither user nor password nor a query: see user")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _check_secret(self) -> DicomwebArchive:
        places = (self.password_file, self.password_variable)
        tokens = (self.token_file, self.token_variable)
        if sum(map(bool, (*places, *tokens))) > 1:
            raise ValueError("give one password or one token, by a file or by a variable")
        if bool(self.user) != any(places):
            raise ValueError("user and password_file (or password_variable) belong together")
        return self

    @property
    def address(self) -> str:
        """Where it is, for people."""
        return self.url

    def password(self) -> str:
        """The password of `user`; empty: none.

        Raises:
            ConfigError: it cannot be read.
        """
        return self._secret("password", self.password_file, self.password_variable)

    def token(self) -> str:
        """The bearer token; empty: none.

        Raises:
            ConfigError: it cannot be read.
        """
        return self._secret("token", self.token_file, self.token_variable)

    def _secret(self, what: str, file: str, variable: str) -> str:
        name = f"{what}_variable" if variable else f"{what}_file"
        return read_secret(self.setting(name), file, variable)


class DimseArchive(_Archive):
    """An archive that takes objects by C-STORE.

    Args:
        host, port: where it listens.
        ae_title: its own.
        calling_ae_title: what the platform calls itself.
        tls: encrypt the connection.
    """

    kind: Literal["dimse"]
    host: str = Field(min_length=1)
    port: Port
    ae_title: AeTitle
    calling_ae_title: AeTitle = "COVIDLIT"
    tls: bool = False

    @property
    def address(self) -> str:
        """Where it is, for people."""
        return f"{self.ae_title}@{self.host}:{self.port}"


Destination = Annotated[DicomwebArchive | DimseArchive, Field(discriminator="kind")]


class Caller(_Strict):
    """Who may send to the receiver.

    Args:
        ae_title: that it calls itself.
        address: IP address that it comes from; empty: any.
    """

    ae_title: AeTitle
    address: str = ""

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str) -> str:
        return str(ip_address(address)) if address else ""


class ReceiverSettings(_Strict):
    """The receiver of scans by C-STORE, which `serve` starts where `[receiver]` is set.

    Args:
        centre, study_group: that scans are received for.
        ae_title: its own; requests to another one are refused.
        host, port: to listen on.
        callers: who may send.
        settle_seconds: after the last connection of a caller has ended, its files are taken in.
        max_associations: connections at a time.
    """

    centre: str
    study_group: str
    ae_title: AeTitle = "COVIDLIT"
    host: str = "127.0.0.1"
    port: Port = 11112
    callers: tuple[Caller, ...] = Field(min_length=1)
    settle_seconds: float = Field(default=10.0, ge=0)
    max_associations: int = Field(default=10, ge=1)

    def may_connect(self, address: str) -> bool:
        """Whether a caller may come from an address."""
        return any(caller.address in ("", address) for caller in self.callers)

    def lets_in(self, ae_title: str, address: str) -> bool:
        """Whether a caller may send."""
        return any(
            ae_title == caller.ae_title and caller.address in ("", address)
            for caller in self.callers
        )


def receiver_with(
    own: ReceiverSettings | None, callers: list[str], **given: Any
) -> ReceiverSettings:
    """The receiver's settings with what was given instead.

    Args:
        own: of `platform.toml`; None: none.
        callers: as AE_TITLE@ADDRESS or AE_TITLE; empty: those of `own`.
        given: further settings; those that are empty are left alone.

    Raises:
        ConfigError: something is missing or wrong.
    """
    known = own.model_dump() if own is not None else {}
    known |= {name: value for name, value in given.items() if value}
    if callers:
        known["callers"] = [
            dict(zip(("ae_title", "address"), each.rsplit("@", 1), strict=False))
            for each in callers
        ]
    try:
        return ReceiverSettings(**known)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{first['msg']}.", where=f"receiver, {'.'.join(map(str, first['loc']))}",
            fix="give --centre, --study-group and --caller, or set [receiver] in platform.toml.",
        ) from error  # fmt: skip


def check_names(archives: tuple[DicomwebArchive | DimseArchive, ...]) -> None:
    """Raise a ValueError where two archives have one name."""
    names = [archive.name for archive in archives]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two of one name: {', '.join(sorted(twice))}")
