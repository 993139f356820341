"""Files in forms: small ones alone, since a form is read before anybody is asked who sends it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import TemporaryFileUploadHandler

MOST_BYTES = 64 << 20
"""Of a form with files; scans come in pieces instead."""


class SmallFiles(TemporaryFileUploadHandler):
    """Keeps files on the disk, and refuses a form that is too large before a byte of it is kept."""

    def handle_raw_input(
        self, stream: Any, meta: Any, content_length: int, *args: Any, **kwargs: Any
    ) -> None:
        """See Django.

        Raises:
            RequestDataTooBig: answered as 400.
        """
        if content_length > MOST_BYTES:
            raise RequestDataTooBig(f"A form of more than {MOST_BYTES >> 20} MiB.")
