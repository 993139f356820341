"""Objects stored by C-STORE, in one association, the status of each read."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from covidlit.dicom.out.source import without_patient_data_in_logs
from covidlit.platform.pacs.errors import Refused, Unreachable
from covidlit.platform.pacs.settings import DimseArchive

_CONNECT_SECONDS = 10.0
_TRANSIENT = 2
_KINDS = (
    (range(0xA700, 0xA800), "it has no room"),
    (range(0xA900, 0xAA00), "the object does not fit its kind"),
    (range(0xC000, 0xD000), "it cannot understand the object"),
    (range(0x0122, 0x0123), "it does not take objects of this kind"),
    (range(0x0124, 0x0125), "it does not allow that"),
)
_WARNINGS = (0xB000, 0xB006, 0xB007)


@contextmanager
def associated(archive: DimseArchive, paths: Sequence[Path]) -> Iterator[Association]:
    """An association for objects.

    Args:
        archive: of the settings.
        paths: of the objects; a context is asked for each of their kinds and transfer syntaxes.

    Raises:
        Unreachable: it does not answer, or not now.
        Refused: it rejects the association for good.
        ConfigError: the certificates cannot be read.
    """
    entity = AE(ae_title=archive.calling_ae_title)
    entity.connection_timeout = _CONNECT_SECONDS
    entity.acse_timeout = entity.dimse_timeout = archive.timeout_seconds
    entity.network_timeout = archive.timeout_seconds
    tls = None
    if archive.tls:
        tls = (ssl.create_default_context(cafile=archive.certificates() or None), archive.host)
    association = entity.associate(
        archive.host, archive.port, contexts=_contexts(paths), ae_title=archive.ae_title,
        tls_args=tls,
    )  # fmt: skip
    where = f"archive {archive.name}"
    if association.is_rejected:
        answer = association.acceptor.primitive
        kind = Unreachable if answer is not None and answer.result == _TRANSIENT else Refused
        why = answer.reason_str if answer is not None else "no reason given"
        raise kind(
            f"it rejects the connection: {why.lower()}.", where=where,
            fix="see whether both AE titles in platform.toml are known there.",
        )  # fmt: skip
    if not association.is_established:
        raise Unreachable(
            "it cannot be reached by DICOM, or takes no object of these kinds.", where=where,
            fix="see whether it runs, and whether host, port and tls are right.",
        )  # fmt: skip
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def store(association: Association, path: Path) -> str:
    """Store an object; what the archive remarked, or empty.

    Compressed pixels are sent as they are, or plain, without loss, to an archive that does not take
    them compressed.

    Raises:
        Unreachable: the association was lost: it may be tried again.
        Refused: the archive does not keep it.

    Source: DICOM PS3.4, table B.2-1.
    """
    with without_patient_data_in_logs():
        data = dcmread(path)
        syntax = data.file_meta.TransferSyntaxUID
        if not association.is_established:
            raise _lost()
        taken = {
            context.transfer_syntax[0]
            for context in association.accepted_contexts
            if context.abstract_syntax == data.SOPClassUID
        }
        if syntax.is_compressed and syntax not in taken and taken:
            data.decompress(as_rgb=False, generate_instance_uid=False)
        elif not taken:
            raise Refused(
                "not kept: it does not take objects of this kind.",
                fix="send it to another archive, or let this one take it.",
            )
        try:
            answer = association.send_c_store(data)
        except (RuntimeError, OSError):
            raise _lost() from None
    status = answer.get("Status")
    if status is None:
        raise _lost()
    code = int(status)
    if code == 0:
        return ""
    if code in _WARNINGS:
        return f"kept with a warning (0x{code:04X})"
    words = next((words for codes, words in _KINDS if code in codes), "it says no")
    raise Refused(f"not kept: {words} (0x{code:04X}).", fix="see the archive's own log.")


def _lost() -> Unreachable:
    return Unreachable(
        "the connection broke off before it answered.", fix="see whether the archive runs."
    )


def _contexts(paths: Sequence[Path]) -> list[PresentationContext]:
    """One for each kind and transfer syntax, so that the archive answers to each by itself."""
    wanted: dict[tuple[UID, UID], None] = {}
    for path in paths:
        meta = read_file_meta_info(path)
        kind, syntax = meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID
        for each in (syntax, ExplicitVRLittleEndian, ImplicitVRLittleEndian):
            wanted[(kind, each)] = None
    return [build_context(kind, syntax) for kind, syntax in wanted]
