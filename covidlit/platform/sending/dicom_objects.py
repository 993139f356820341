"""The DICOM objects of a labelling, kept with it, so that a later one does not replace them."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID

from covidlit.platform.registry.models import Labelling

OBJECTS = "dicom"
"""Folder of the objects in that of their labelling."""

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
"""Label Map Segmentation Storage, which pydicom 3.0 does not know yet."""


class DicomObject(NamedTuple):
    """A file that can be sent or downloaded.

    Args:
        path: of the file.
        kind: its SOP class, for people.
        sop_instance_uid: of it.
        n_bytes: size of the file.
    """

    path: Path
    kind: str
    sop_instance_uid: str
    n_bytes: int

    @property
    def name(self) -> str:
        """Of the file; it says nothing of the patient."""
        return self.path.name

    def sha256(self) -> str:
        """Of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def keep_objects(written: Path, folder: Path) -> None:
    """Keep the objects that were written of a scan in the folder of its labelling, and no others.

    As further names of the same files where the disk knows that, since those that write them put
    new ones into their place and never change one.

    Args:
        written: `dicom/<scan>` of `covidlit quantify`; none where nothing could be written.
        folder: of the labelling.
    """
    kept = folder / OBJECTS
    names = {path.name for path in written.glob("*.dcm")}
    if names:
        kept.mkdir(parents=True, exist_ok=True)
    for name in sorted(names):
        own = kept / name
        new = kept / f".{name}.{secrets.token_hex(6)}"
        try:
            os.link(written / name, new)
        except OSError:
            shutil.copyfile(written / name, new)
        new.replace(own)
    for old in kept.glob("*.dcm"):
        if old.name not in names:
            old.unlink()


def objects_of(labelling: Labelling) -> list[DicomObject]:
    """The objects of a labelling by name; empty where none could be written."""
    found = []
    for path in sorted((settings.FOLDER.results / labelling.folder / OBJECTS).glob("*.dcm")):
        try:
            meta = read_file_meta_info(path)
        except (OSError, InvalidDicomError):
            continue
        found.append(
            DicomObject(
                path,
                _kind(meta.MediaStorageSOPClassUID),
                str(meta.MediaStorageSOPInstanceUID),
                path.stat().st_size,
            )
        )
    return found


def _kind(sop_class: UID) -> str:
    if sop_class == LABEL_MAP:
        return "Label Map Segmentation"
    return sop_class.name.removesuffix(" Storage")
