"""Pseudonyms of patients: keyed, so that nobody without the key can try out patient numbers."""

from __future__ import annotations

import hmac
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from covidlit.dicom import pseudonym_uid
from covidlit.errors import ManifestError
from covidlit.files import check_writable

KEY_FILE = "manifest.key"
# DICOM PS3.5, section 9.1; shorter ones are no real UIDs, which hold an organisation and a number.
_REAL_UID = re.compile(r"(?=.{20,64}$)[0-2](?:\.(?:0|[1-9]\d*)){4,}")


@dataclass(frozen=True)
class Pseudonyms:
    """Replaces identifiers, or keeps them where the user asked for that.

    Args:
        key: secret bytes; the same key gives the same patient the same pseudonym. None keeps all
            identifiers as they are.
    """

    key: bytes | None

    def patient(self, raw: str) -> str:
        """ "P" and 12 hex digits of HMAC-SHA256 of the raw PatientID (RFC 2104)."""
        if self.key is None:
            return raw
        return "P" + hmac.new(self.key, raw.strip().encode(), "sha256").hexdigest()[:12]

    def file_name(self, raw: str) -> str:
        """What stands for a file's name where there is no UID: 32 hex digits of HMAC-SHA256.

        A real UID stays as it is: nobody can try it out, as a short name or a patient's number can.
        """
        if self.key is None or _REAL_UID.fullmatch(raw):
            return raw
        return hmac.new(self.key, f"file {raw}".encode(), "sha256").hexdigest()[:32]

    def uid(self, raw: str) -> str:
        """The pseudonym of a study or series UID, which `read_series` understands."""
        return raw if self.key is None else pseudonym_uid(raw)


def check_key_place(path: str | Path) -> None:
    """Make sure that `read_or_make_key` can work at `path`, without making anything there.

    Raises:
        CovidlitError: the file is there and holds no key, or cannot be made.
    """
    if Path(path).exists():
        read_or_make_key(path)
    else:
        check_writable(path)


def read_or_make_key(path: str | Path) -> bytes:
    """The key in a file; made there, readable by its owner only, if the file does not exist.

    Safe with several processes: the first one to create the file decides.

    Raises:
        ManifestError: the file cannot be read or written, or holds no key.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        if not path.exists():
            # Written whole under another name first, so that nobody ever reads half a key.
            handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            try:
                with os.fdopen(handle, "w") as file:
                    file.write(secrets.token_hex(32) + "\n")
                try:
                    os.link(temporary, path)
                except FileExistsError:
                    pass
                except OSError:  # a file system without links
                    temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as problem:
        raise ManifestError(
            f"the key of the pseudonyms cannot be read or made: {problem.strerror}.",
            where=path,
            fix="name another place with key_file (--key-file).",
        ) from problem
    except ValueError as problem:
        raise ManifestError(
            "this is not a key of covidlit.",
            where=path,
            fix="restore the file, or remove it to start with a new key (and new pseudonyms).",
        ) from problem
    if len(key) < 16:
        raise ManifestError(
            "the key of the pseudonyms is shorter than 16 bytes.",
            where=path,
            fix="restore the file, or remove it to start with a new key (and new pseudonyms).",
        )
    return key
