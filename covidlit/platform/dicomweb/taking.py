"""The parts of a STOW-RS request, each a file of an upload, or refused with a reason of DICOM."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, NamedTuple

from django.conf import settings

from covidlit.dicom.elements import Elements
from covidlit.dicom.out.source import without_patient_data_in_logs
from covidlit.dicom.parse import read_elements
from covidlit.platform.api.problems import ApiProblem, too_large
from covidlit.platform.intake.models import Upload
from covidlit.platform.intake.receiving import MOST_PIECE, UploadRefused, add_piece, folder_of

log = logging.getLogger(__name__)

PROCESSING_FAILURE, DUPLICATE, NO_ROOM = 0x0110, 0x0111, 0xA700
OTHER_STUDY, NOT_UNDERSTOOD = 0xA900, 0xC000
"""Source: DICOM PS3.18, table I.2-2, and PS3.4, table B.2-1."""

_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_WANTED = (_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES)
_UID = re.compile(r"[0-9.]{1,64}")


class Taken(NamedTuple):
    """What became of a part.

    Args:
        uid, sop_class: of its object; empty where it is none.
        reason: why it was refused; 0: it was not.
    """

    uid: str
    sop_class: str
    reason: int


class Taking:
    """Takes parts into an upload.

    Args:
        upload: that was begun.
        study: StudyInstanceUID that all must have; empty: any.
    """

    def __init__(self, upload: Upload, study: str) -> None:
        self._upload, self._study = upload, study
        self.taken: list[Taken] = []
        self._refused = 0

    @property
    def n_stored(self) -> int:
        """Objects that were taken."""
        return len(self.taken) - self._refused

    def take(self, head: Message, content: Iterator[bytes]) -> None:
        """Take a part, whole or not at all.

        Raises:
            ApiProblem: 413, there are more parts than files in an upload.
        """
        if len(self.taken) >= settings.FOLDER.settings.uploads.max_files:
            raise ApiProblem.of(413, too_large())
        found = self._one(head, content)
        self._refused += bool(found.reason)
        self.taken.append(found)

    def _one(self, head: Message, content: Iterator[bytes]) -> Taken:
        kind = str(head.get("Content-Type", "application/dicom")).partition(";")[0]
        if kind.strip().lower() != "application/dicom":
            return Taken("", "", NOT_UNDERSTOOD)
        with _waiting(self._upload) as file:
            for piece in content:
                file.write(piece)
            file.flush()
            header = _read(Path(file.name))
            sop_class, uid, study, series = (
                header.text(tag) if header is not None else "" for tag in _WANTED
            )
            if not all(_UID.fullmatch(each) for each in (uid, sop_class, study, series)):
                return Taken("", "", NOT_UNDERSTOOD)
            if self._study not in ("", study):
                return Taken(uid, sop_class, OTHER_STUDY)
            return Taken(uid, sop_class, self._add(file, uid))

    def _add(self, file: IO[bytes], uid: str) -> int:
        """Put a file into the upload; the reason why not, or 0.

        The same object again is one; another one of its UID is refused.
        """
        # No name from outside becomes the name of a file.
        name = hashlib.sha256(uid.encode()).hexdigest()[:32] + ".dcm"
        size = file.seek(0, 2)
        file.seek(0)
        offset = 0
        try:
            while offset < size:
                piece = file.read(MOST_PIECE)
                add_piece(self._upload, name, offset, piece, str(size))
                offset += len(piece)
        except UploadRefused as error:
            log.info("An object of %s was not taken: %s", self._upload, error.what)
            is_other = "another file" in error.what
            return DUPLICATE if is_other else NO_ROOM
        return 0


@contextmanager
def _waiting(upload: Upload) -> Iterator[IO[bytes]]:
    """A file for a part, on the disk of the platform: it may be larger than the memory.

    It lies among those of its upload: whoever finds or removes that finds or removes it too.
    """
    folder = folder_of(upload)
    folder.mkdir(exist_ok=True)
    name = f".{secrets.token_hex(6)}"
    with NamedTemporaryFile(dir=folder, prefix=".stow.", suffix=name, delete=False) as file:
        try:
            yield file
        finally:
            Path(file.name).unlink(missing_ok=True)
            with suppress(OSError):  # something of the upload lies there
                folder.rmdir()


def _read(path: Path) -> Elements | None:
    with without_patient_data_in_logs():
        try:
            return read_elements(path, _WANTED)
        except MemoryError:
            raise
        except Exception:  # pydicom may raise nearly anything on a damaged file
            return None
