"""The other end of C-STORE and C-ECHO: who may send, and what he is answered."""

from __future__ import annotations

import logging
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pynetdicom import (
    AE,
    ALL_TRANSFER_SYNTAXES,
    AllStoragePresentationContexts,
    _config,
    evt,
)
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from covidlit.platform.dicom_in.spool import Batch, Spool, SpoolFullError
from covidlit.platform.pacs.settings import ReceiverSettings

log = logging.getLogger(__name__)

SUCCESS, NO_ROOM, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000
_REJECTED_FOR_GOOD, _REJECTED_FOR_NOW = (0x01, 0x01, 0x03), (0x02, 0x03, 0x01)
_REJECTED_AS_ONE_TOO_MANY = (0x02, 0x03, 0x02)
_ASK_SECONDS, _QUIET_SECONDS = 5, 60
"""After so long a connection ends that has asked for nothing, and one that brings nothing more."""
_ABORT_SECONDS = 0.5
"""So long others have to read that the receiver ends."""
MOST_SILENT = 20
"""Connections that have asked for nothing yet."""
_OVERHEAD = 1.1
"""Bytes on the line for each byte of objects, at most."""


@dataclass
class _Line:
    """An association that was let in."""

    batch: Batch
    n_received: int = 0


class StorageReceiver:
    """A server of C-STORE and C-ECHO.

    Args:
        settings: whom it lets in, and where it listens.
        spool: gets the objects.
        may_receive: whether the platform takes scans at all now.
    """

    def __init__(
        self, settings: ReceiverSettings, spool: Spool, may_receive: Callable[[], bool]
    ) -> None:
        self._settings, self._spool, self._may_receive = settings, spool, may_receive
        self._lines: dict[Association, _Line] = {}
        self._open: dict[Association, socket.socket] = {}
        self._silent: dict[Association, socket.socket] = {}  # those of them that ask for nothing
        self._lock = threading.Lock()
        # Objects are written as they come, on the disk on which they stay: none fills the memory.
        _config.STORE_RECV_CHUNKED_DATASET = True
        _config.UNRESTRICTED_STORAGE_SERVICE = True  # also kinds that pynetdicom does not know
        tempfile.tempdir = str(spool.parts)

    def start(self) -> None:
        """Listen, in threads, until `stop`.

        Raises:
            OSError: the address cannot be listened on.
        """
        entity = AE(ae_title=self._settings.ae_title)
        entity.require_called_aet = True
        entity.acse_timeout, entity.network_timeout = _ASK_SECONDS, _QUIET_SECONDS
        entity.maximum_associations = sys.maxsize  # by which silent connections would count
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
        entity.add_supported_context(Verification)
        server = entity.start_server(
            (self._settings.host, self._settings.port),
            block=False,
            evt_handlers=[
                (evt.EVT_CONN_OPEN, self._opened),
                (evt.EVT_REQUESTED, self._asked),
                (evt.EVT_ACCEPTED, self._let_in),
                (evt.EVT_DATA_RECV, self._count),
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_RELEASED, self._ended),
                (evt.EVT_ABORTED, self._ended),
                (evt.EVT_CONN_CLOSE, self._ended),
            ],
        )
        assert isinstance(server, ThreadedAssociationServer)
        self._server = server

    def stop(self) -> None:
        """End every connection, also one in the midst of a message, and listen no more."""
        self._server.shutdown()
        with self._lock:
            lines = list(self._open.items())
        for association, _ in lines:
            if association.is_established:
                association.abort(block=False)
        if lines:
            time.sleep(_ABORT_SECONDS)
        for _, line in lines:
            _hang_up(line)

    def _opened(self, event: evt.Event) -> None:
        """End connections of hosts that may not send, and the longest silent of too many."""
        association = event.assoc
        if not self._settings.may_connect(str(association.requestor.address)):
            association.acse_timeout = 0  # it is not waited for
            return
        own = association.dul.socket
        line = own.socket if own is not None else None
        if line is None:
            return  # it has ended already
        line.settimeout(_QUIET_SECONDS)  # also in the midst of a message
        with self._lock:
            self._open[association] = self._silent[association] = line
            if len(self._silent) > MOST_SILENT:  # whoever is to send asks at once: never the newest
                _hang_up(self._silent.pop(next(iter(self._silent))))

    def _asked(self, event: evt.Event) -> None:
        """Reject callers that are not known, and all while the platform takes nothing."""
        request = event.assoc.requestor
        with self._lock:
            self._silent.pop(event.assoc, None)
            n_lines = sum(each.is_alive() for each in self._lines)
        title = str(getattr(request.primitive, "calling_ae_title", "")).strip()
        if not self._settings.lets_in(title, str(request.address)):
            log.warning("A caller that is not in [receiver] callers was rejected.")
            _reject(event.assoc, _REJECTED_FOR_GOOD)
        elif not self._may_receive():
            _reject(event.assoc, _REJECTED_FOR_NOW)
        elif n_lines >= self._settings.max_associations:
            _reject(event.assoc, _REJECTED_AS_ONE_TOO_MANY)

    def _let_in(self, event: evt.Event) -> None:
        request = event.assoc.requestor
        batch = self._spool.begin((str(request.ae_title).strip(), str(request.address)))
        with self._lock:
            self._lines[event.assoc] = _Line(batch)

    def _ended(self, event: evt.Event) -> None:
        with self._lock:
            self._open.pop(event.assoc, None)
            self._silent.pop(event.assoc, None)
            line = self._lines.pop(event.assoc, None)
        if line is not None:
            self._spool.end(line.batch)

    def _count(self, event: evt.Event) -> None:
        """End an association in the midst of an object that cannot fit any more."""
        line = self._lines.get(event.assoc)
        if line is not None:
            line.n_received += len(event.data)
            if line.n_received > _OVERHEAD * self._spool.max_bytes + (1 << 20):
                log.warning("An association brought more than an upload may hold.")
                event.assoc.abort()

    def _store(self, event: evt.Event) -> int:
        line = self._lines.get(event.assoc)
        uid = str(getattr(event.request, "AffectedSOPInstanceUID", None) or "")
        if line is None or not uid:
            return NOT_UNDERSTOOD
        try:
            self._spool.add(line.batch, event.dataset_path, uid)
        except SpoolFullError:
            return NO_ROOM
        except OSError as error:
            log.error("An object could not be kept: %s", error.strerror)
            return NO_ROOM
        return SUCCESS


def _reject(association: Association, why: tuple[int, int, int]) -> None:
    association.acse.send_reject(*why)
    association.kill()  # which waits until it is sent: else the connection ends without a word


def _hang_up(line: socket.socket) -> None:
    with suppress(OSError):  # it has ended by itself
        line.shutdown(socket.SHUT_RDWR)
