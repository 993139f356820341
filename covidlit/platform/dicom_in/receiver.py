"""The receiver as a process (`covidlit platform receive`): listens, hands over what has come."""

from __future__ import annotations

import logging
import sys
import time

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from filelock import FileLock, Timeout

from covidlit.errors import ConfigError
from covidlit.platform.accounts.models import Centre, StudyGroup
from covidlit.platform.dicom_in.hand_over import (
    ACCOUNT,
    hand_over,
    may_receive,
    receiver_account,
    unfinished,
)
from covidlit.platform.dicom_in.scp import StorageReceiver
from covidlit.platform.dicom_in.spool import Spool
from covidlit.platform.pacs.settings import ReceiverSettings
from covidlit.process import asked_to_end

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5


def receive(own: ReceiverSettings, say_ready: bool = True) -> None:
    """Receive until the process is asked to end.

    Args:
        own: where to listen, and for whom.
        say_ready: print the address.

    Raises:
        ConfigError: a centre or study group that is not there, an address that cannot be listened
            on, or another receiver of this platform.
    """
    _, centre, group = receiver_account(own.centre, own.study_group)
    folder = settings.FOLDER
    folder.received.mkdir(exist_ok=True)
    try:
        lock = FileLock(folder.root / ".receiving", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise ConfigError(
            "another receiver of it runs.", where=folder.root, fix="end that one first."
        ) from error
    with lock:
        limits = folder.settings.uploads
        spool = Spool(folder.received, limits.max_files, round(limits.max_gib * 2**30))
        open_now = [may_receive(centre, group)]
        if not open_now[0]:
            log.warning("%s has no role there, so nothing is received until it gets one.", ACCOUNT)
        server = StorageReceiver(own, spool, lambda: open_now[0])
        try:
            server.start()
        except OSError as error:
            raise ConfigError(
                f"cannot be listened on: {error.strerror or error}.",
                where=f"{own.host}:{own.port}",
                fix="choose another port, or end what listens there.",
            ) from error
        asked = asked_to_end()
        if say_ready:
            sys.stdout.write(f"Receiving as {own.ae_title} on {own.host}:{own.port}\n")
            sys.stdout.flush()
        try:
            while not asked:
                time.sleep(_LOOK_SECONDS)
                open_now[0] = _look(spool, own, centre, group, open_now[0])
        finally:
            server.stop()


def _look(
    spool: Spool, own: ReceiverSettings, centre: Centre, group: StudyGroup, was_open: bool
) -> bool:
    """Hand over what is quiet; whether the platform takes scans."""
    try:
        if not may_receive(centre, group):
            return False
        for token in dict.fromkeys([*unfinished(), *spool.settled(own.settle_seconds)]):
            try:
                hand_over(spool.root, token, centre, group)
            except OSError as error:
                log.error("What was received cannot be handed over: %s", error.strerror)
    except DatabaseError as error:  # gone for a while: what has come stays on the disk
        log.error("The database does not answer: %s", type(error).__name__)
        return was_open
    finally:
        close_old_connections()
    return True
