"""Files that `platform.toml` names: relative ones lie in the platform's folder, secrets are kept.

The paths are absolute once the settings are read, so that it does not matter from where anybody
starts the platform.
"""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from covidlit.errors import ConfigError

MASKS = "masks:"
"""Before a folder of masks, as of `covidlit quantify --masks`, which stand for a model."""

SETTINGS_FILE = "platform.toml"


def _in_folder(path: str, info: ValidationInfo) -> str:
    root = (info.context or {}).get("root")
    return str(Path(root) / path) if path and root is not None else path


def model_in_folder(place: str, info: ValidationInfo) -> str:
    """A model that a setting names, or masks in its place, from the platform's folder."""
    if place.startswith(MASKS):
        return MASKS + _in_folder(place.removeprefix(MASKS), info)
    return _in_folder(place, info)


NamedFile = Annotated[str, AfterValidator(_in_folder)]
"""Setting that names a file or folder; empty: none."""

NamedModel = Annotated[str, AfterValidator(model_in_folder)]
"""Setting that names a trained model, or masks in its place; empty: none."""


def read_secret(setting: str, file: str, variable: str = "") -> str:
    """The secret that a setting names; empty where it names none.

    Args:
        setting: the one that names the file, as "[ldap] bind_password_file".
        file: that holds it; empty: none.
        variable: of the environment that holds it instead; empty: none.

    Raises:
        ConfigError: it is not there, empty, or everybody on the machine may read it.
    """
    where = f"{setting} in {SETTINGS_FILE}"
    if variable:
        if not (found := os.environ.get(variable, "")):
            raise ConfigError(
                f"the variable {variable} is not set.", where=where,
                fix="set it for `covidlit platform serve`.",
            )  # fmt: skip
        return found
    if not file:
        return ""
    try:
        if _everybody_reads(Path(file)):
            raise ConfigError(
                f"everybody on this machine may read {file}.", where=where,
                fix=f"chmod 600 {file} (of the account that runs the platform).",
            )  # fmt: skip
        found = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = "is no text" if isinstance(error, UnicodeDecodeError) else "cannot be read"
        raise ConfigError(
            f"the secret in {file} {why}: {getattr(error, 'strerror', None) or 'wrong bytes'}.",
            where=where,
            fix="write it into that file on one line, and let the platform's own account read it; "
            "a path without / at its start begins in the platform's folder.",
        ) from error
    if not found:
        raise ConfigError(f"{file} is empty.", where=where, fix="write the secret into it.")
    return found


def certificates(setting: str, file: str) -> str:
    """The file of certificates that a setting names, looked at; empty where it names none.

    Raises:
        ConfigError: there is no certificate in it.
    """
    if file:
        try:
            ssl.create_default_context(cafile=file)
        except OSError as error:  # what ssl says of its content is one too
            raise ConfigError(
                f"no certificate can be read from {file}.", where=f"{setting} in {SETTINGS_FILE}",
                fix="name a file of certificates in PEM; a path without / at its start begins in "
                "the platform's folder.",
            ) from error  # fmt: skip
    return file


def _everybody_reads(path: Path) -> bool:
    """Whether accounts beside the owner and the group get at a file: its folders let them too."""
    real = path.resolve(strict=True)
    return bool(real.stat().st_mode & stat.S_IROTH) and all(
        folder.stat().st_mode & stat.S_IXOTH for folder in real.parents
    )
