"""The process that decodes compressed pixels, for `covidlit.dicom.decoding`: run as a script.

A decoder that meets damaged codes may abort, loop for ever or ask for any amount of memory; here
that costs this process. Nothing of covidlit is imported, and each decoder only when it is asked
for, so that it is ready within a tenth of a second.

A request on standard input is a `REQUEST` and the code, a reply on standard output a `REPLY` and
the values (row, column; little endian, in 1, 2 or 4 bytes) or the reason why there are none. It
ends with its standard input.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import struct
import sys
from collections.abc import Callable
from ctypes import string_at
from typing import IO, Any, NamedTuple

REQUEST = struct.Struct("<16s16s64sLLBBBdQ")
REPLY = struct.Struct("<BQ")
DONE, FAILED = 0, 1
_NOTES_BYTES = 1 << 20


class Request(NamedTuple):
    """One slice to decode.

    Args:
        decoder: a key of `DECODERS`.
        photometric: its photometric interpretation.
        transfer_syntax: UID.
        rows, columns: its size.
        bits_allocated, bits_stored, signed: of its values, as the DICOM header says.
        seconds: what it may take; then this process ends.
        length: bytes of its code.
    """

    decoder: str
    photometric: str
    transfer_syntax: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: int
    seconds: float
    length: int

    def pack(self) -> bytes:
        """As bytes."""
        names = (name.encode() for name in self[:3])
        return REQUEST.pack(*names, *self[3:])


Decode = Callable[[Request, bytes], Any]


def unpack(content: bytes) -> Request:
    """A request from its bytes."""
    fields = REQUEST.unpack(content)
    names = (name.rstrip(b"\0").decode() for name in fields[:3])
    return Request(*names, *fields[3:])


def gdcm_decoder() -> Decode:
    """JPEG: lossless, baseline and extended. GDCM is given the code and facts, never the file."""
    import gdcm

    def decode(request: Request, code: bytes) -> bytes:
        fragment = gdcm.Fragment()
        fragment.SetByteStringValue(code)
        fragments = gdcm.SequenceOfFragments.New()
        fragments.AddFragment(fragment)
        element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
        element.SetValue(fragments.__ref__())
        # A reader that reads nothing, for its image: `change` counts references, and would free an
        # image that Python owns as well.
        owner = gdcm.ImageReader()
        picture = owner.GetImage()
        picture.SetNumberOfDimensions(2)
        picture.SetDimensions((request.columns, request.rows, 1))
        kind = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
        picture.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
        syntax = gdcm.TransferSyntax.GetTSType(request.transfer_syntax)
        picture.SetTransferSyntax(gdcm.TransferSyntax(syntax))
        stored = request.bits_stored
        bits = 8 if stored <= 8 else 16
        picture.SetPixelFormat(gdcm.PixelFormat(1, bits, stored, stored - 1, request.signed))
        picture.SetDataElement(element)
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ExplicitVRLittleEndian))
        change.SetInput(picture)
        if not change.Change():
            raise ValueError("GDCM cannot decode it")
        decoded = change.GetOutput()
        # GetBuffer would hand the bytes over as text, at a third of the whole time; copy them from
        # where GDCM keeps them (alive as long as `change`) instead.
        length = decoded.GetBufferLength()
        if length != bits // 8 * request.rows * request.columns:
            raise ValueError(f"decoded to {length} bytes")
        return string_at(int(decoded.GetDataElement().GetByteValue().GetVoidPointer()), length)

    return decode


def charls_decoder() -> Decode:
    """JPEG-LS, lossless and near-lossless."""
    import jpeg_ls

    return lambda request, code: jpeg_ls.decode_pixel_data(code)[0]


def openjpeg_decoder() -> Decode:
    """JPEG 2000, high-throughput included."""
    import openjpeg

    return lambda request, code: openjpeg.decode_pixel_data(code, version=2)


def rle_decoder() -> Decode:
    """RLE; a damaged code is a panic of the library, which is no Exception."""
    import rle

    def decode(request: Request, code: bytes) -> Any:
        return rle.decode_pixel_data(
            code,
            version=2,
            rows=request.rows,
            columns=request.columns,
            bits_allocated=request.bits_allocated,
            byteorder="<",
        )

    return decode


DECODERS: dict[str, Callable[[], Decode]] = {
    "gdcm": gdcm_decoder,
    "charls": charls_decoder,
    "openjpeg": openjpeg_decoder,
    "rle": rle_decoder,
}


def main() -> None:
    """Answer requests until standard input ends. The argument: bytes of memory beyond its own."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    # What the libraries print goes here: some say so, and only so, that the code is damaged.
    notes = _new_notes()
    for standard in (1, 2):
        os.dup2(notes.fileno(), standard)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the user's Ctrl-C is for the parent
    decoders: dict[str, Decode] = {}
    while len(header := requests.read(REQUEST.size)) == REQUEST.size:
        request = unpack(header)
        code = requests.read(request.length)
        try:
            if request.decoder not in decoders:
                decoders[request.decoder] = DECODERS[request.decoder]()
                _limit_memory(int(sys.argv[1]))
            faulthandler.dump_traceback_later(request.seconds, exit=True, file=notes)
            values, status = decoders[request.decoder](request, code), DONE
            faulthandler.cancel_dump_traceback_later()
            if said := _taken(notes):
                values, status = said.encode(), FAILED
        except BaseException as error:  # panics of Rust as well
            faulthandler.cancel_dump_traceback_later()
            reason = _taken(notes) or " ".join(str(error).split()) or type(error).__name__
            values, status = reason[:300].encode(), FAILED
        _write_all(replies, REPLY.pack(status, len(values)))
        _write_all(replies, values)


def _new_notes() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("notes"), "w+b", buffering=0)
    from tempfile import TemporaryFile

    return TemporaryFile(buffering=0)


def _taken(notes: IO[bytes]) -> str:
    """What was printed about damage since the last call."""
    length = notes.seek(0, os.SEEK_END)
    if not length:
        return ""
    notes.seek(0)
    lines = notes.read(4096).decode("utf-8", "replace").splitlines()
    notes.truncate(0)
    notes.seek(0)
    wanted = [line.strip() for line in lines if "orrupt" in line or "remature" in line]
    return wanted[0] if wanted else ""


def _limit_memory(extra: int) -> None:
    """Leave this process `extra` bytes beyond what it has, and no core file, which holds pixels."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_NOTES_BYTES, _NOTES_BYTES))
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 (as few imports as possible)
            own = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:  # Linux alone
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = own + extra
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


def _write_all(handle: Any, content: Any) -> None:
    view = memoryview(content)
    while len(view):
        view = view[handle.write(view) :]


if __name__ == "__main__":
    main()
