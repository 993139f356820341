"""A DICOM archive in this process, which takes objects by C-STORE, goes away and comes back."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt

AE_TITLE = "PACS"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
"""Label Map Segmentation Storage, which pynetdicom does not know yet."""

_META_LENGTH = slice(140, 144)
_HELD_S = 10.0


class Archive:
    """It keeps of each object the SHA-256 of its data set as it was encoded.

    Args:
        port: to listen on.

    Attributes:
        kept: by SOPInstanceUID, one hash for each content that came.
        times: how often each came.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.kept: dict[str, set[str]] = {}
        self.times: Counter[str] = Counter()
        self._server: Any = None
        self._came: threading.Event | None = None
        self._go_on = threading.Event()

    def start(self) -> None:
        """Listen, on the same port as before."""
        entity = AE(ae_title=AE_TITLE)
        for kind in (*(each.abstract_syntax for each in AllStoragePresentationContexts), LABEL_MAP):
            entity.add_supported_context(kind, ALL_TRANSFER_SYNTAXES)
        self._server = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._keep)]
        )

    def stop(self) -> None:
        """Go away, whoever is connected."""
        self._server.shutdown()

    @contextmanager
    def held(self) -> Iterator[threading.Event]:
        """Keep the next object and leave its sender without an answer, until the end of this.

        The event is set when an object has come.
        """
        self._go_on.clear()
        self._came = came = threading.Event()
        try:
            yield came
        finally:
            self._came = None
            self._go_on.set()

    def _keep(self, event: evt.Event) -> int:
        request: Any = event.request
        uid, content = str(request.AffectedSOPInstanceUID), request.DataSet.getvalue()
        self.kept.setdefault(uid, set()).add(hashlib.sha256(content).hexdigest())
        self.times[uid] += 1
        if (came := self._came) is not None:
            came.set()
            self._go_on.wait(_HELD_S)
        return 0


def sum_of_data_set(content: bytes) -> str:
    """The SHA-256 of the data set of a file, which is what is sent of it.

    Source: DICOM PS3.10, 7.1: after 128 bytes and `DICM` comes the length of the group before it.
    """
    start = _META_LENGTH.stop + int.from_bytes(content[_META_LENGTH], "little")
    return hashlib.sha256(content[start:]).hexdigest()
