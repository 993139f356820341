"""Bodies of uploads, damaged as connections, programs and people damage them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Rng = np.random.Generator


class Sent(NamedTuple):
    """A request.

    Args:
        body: of it.
        kind: its Content-Type.
        query: behind its address.
        headers: further ones, as a WSGI server names them.
    """

    body: bytes
    kind: str
    query: str = ""
    headers: dict[str, str] = {}  # noqa: RUF012 (of a tuple, never changed)


def _cut(sent: Sent, rng: Rng) -> Sent:
    return sent._replace(body=sent.body[: int(rng.integers(len(sent.body)))])


def _begun_late(sent: Sent, rng: Rng) -> Sent:
    return sent._replace(body=sent.body[int(rng.integers(1, len(sent.body))) :])


def _without_a_piece(sent: Sent, rng: Rng) -> Sent:
    first, last = sorted(rng.integers(len(sent.body), size=2).tolist())
    return sent._replace(body=sent.body[:first] + sent.body[last:])


def _with_a_piece(sent: Sent, rng: Rng) -> Sent:
    place = int(rng.integers(len(sent.body)))
    piece = rng.bytes(int(rng.integers(1, 5000)))
    return sent._replace(body=sent.body[:place] + piece + sent.body[place:])


def _bytes_changed(sent: Sent, rng: Rng) -> Sent:
    body = bytearray(sent.body)
    for place in rng.integers(len(body), size=int(rng.integers(1, 40))):
        body[place] = int(rng.integers(256))
    return sent._replace(body=bytes(body))


def _head_changed(sent: Sent, rng: Rng) -> Sent:
    """Bytes of the first part's head and of the beginning of its content."""
    body = bytearray(sent.body)
    for place in rng.integers(min(700, len(body)), size=int(rng.integers(1, 12))):
        body[place] = int(rng.integers(256))
    return sent._replace(body=bytes(body))


def _nulls(sent: Sent, rng: Rng) -> Sent:
    place = int(rng.integers(len(sent.body)))
    return sent._replace(body=sent.body[:place] + bytes(2000) + sent.body[place:])


def _other_boundary(sent: Sent, rng: Rng) -> Sent:
    base = sent.kind.partition("; boundary=")[0]
    odd = [
        "",
        "; boundary",
        "; boundary=",
        '; boundary="',
        "; boundary=x",
        "; boundary=" + "b" * 69,
        "; boundary=" + "b" * 5000,
        "; boundary=\x00",
        "; boundary=--",
        "; boundary*=utf-8''a%20b",
        "; boundary*0=a; boundary*1=b",
        "; boundary=a; boundary=b",
        "; boundary=\xe4",
    ]
    return sent._replace(kind=base + str(rng.choice(odd)))


def _other_kind(sent: Sent, rng: Rng) -> Sent:
    boundary = sent.kind.partition("boundary=")[2]
    odd = [
        "multipart/related",
        "multipart/form-data",
        "multipart/mixed",
        "application/dicom",
        "application/json",
        "application/x-www-form-urlencoded",
        "",
        "multipart/",
        "/",
        "\x00",
    ]
    return sent._replace(kind=f"{rng.choice(odd)}; boundary={boundary}")


def _nested(sent: Sent, rng: Rng) -> Sent:
    head = b"--outer\r\nContent-Type: " + sent.kind.encode("latin-1") + b"\r\n\r\n"
    body = head * int(rng.integers(1, 200)) + sent.body + b"\r\n--outer--\r\n"
    return sent._replace(body=body, kind=sent.kind.partition("; boundary=")[0] + "; boundary=outer")


def _after_the_first_line(sent: Sent, more: bytes) -> Sent:
    first, _, rest = sent.body.partition(b"\r\n")
    return sent._replace(body=first + b"\r\n" + more + rest)


def _huge_head(sent: Sent, rng: Rng) -> Sent:
    return _after_the_first_line(sent, b"X: " + b"y" * int(10 ** rng.uniform(3, 6.5)) + b"\r\n")


def _many_heads(sent: Sent, rng: Rng) -> Sent:
    lines = b"".join(b"X-%d: y\r\n" % n for n in range(int(10 ** rng.uniform(1, 4.5))))
    return _after_the_first_line(sent, lines)


def _odd_heads(sent: Sent, rng: Rng) -> Sent:
    odd = [
        b"\r\n",
        b": \r\n",
        b"Content-Type: \r\n",
        b"Content-Type: text/html\r\n",
        b"\x00: a\r\n",
        b"Content-Type: application/dicom; a*0*=%\r\n",
        b" folded\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b'Content-Disposition: form-data; name="a"; filename="../../etc/x"\r\n',
        b"Content-Disposition: form-data; filename*=utf-8''%00%2e%2e%2f\r\n",
        'Content-Disposition: form-data; name="tabl\u00e9"\r\n'.encode(),
        b"\xff\xfe: \xff\r\n",
    ]
    return _after_the_first_line(sent, odd[int(rng.integers(len(odd)))])


def _twice(sent: Sent, rng: Rng) -> Sent:
    return sent._replace(body=sent.body.rpartition(b"--")[0].rpartition(b"--")[0] + sent.body)


def _bare_lines(sent: Sent, rng: Rng) -> Sent:
    return sent._replace(body=sent.body.replace(b"\r\n", b"\n", int(rng.integers(1, 9))))


def _many_parts(sent: Sent, rng: Rng) -> Sent:
    mark = b"--" + sent.kind.partition("boundary=")[2].encode() + b"\r\n"
    return sent._replace(body=(mark + b"\r\n\r\n") * int(10 ** rng.uniform(1, 3)) + sent.body)


def _around(sent: Sent, rng: Rng) -> Sent:
    size = int(10 ** rng.uniform(0, 6))
    more = rng.bytes(size)
    return sent._replace(body=more + sent.body if rng.integers(2) else sent.body + more)


def _other_length(sent: Sent, rng: Rng) -> Sent:
    odd = ["0", "-1", "x", "1" * 30, str(len(sent.body) // 2), str(len(sent.body) + 1000), " 5", ""]
    return sent._replace(headers={"CONTENT_LENGTH": str(rng.choice(odd))})


def _odd_query(sent: Sent, rng: Rng) -> Sent:
    odd = [
        "centre=%00",
        "centre=south&study_group=clinic",
        "centre=&study_group=",
        "centre=%ff",
        "centre=north&centre=south",
        "x" * 5000,
        "study_group='--",
        "centre[]=north",
        "%",
    ]
    return sent._replace(query=str(rng.choice(odd)))


def _content_at(body: bytes) -> int:
    """Where the first DICOM file begins; 0: there is none."""
    return max(0, body.find(b"DICM") - 128)


def _lengths_changed(sent: Sent, rng: Rng) -> Sent:
    """Lengths of elements of the first files, where they may stand."""
    body = bytearray(sent.body)
    start = _content_at(sent.body) + 132
    for place in rng.integers(start, min(start + 2500, len(body) - 4), size=6):
        body[place : place + 4] = struct.pack(
            "<I", int(rng.choice([0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFF0]))
        )
    return sent._replace(body=bytes(body))


def _after_the_meta(sent: Sent, more: bytes, syntax: str = "") -> Sent:
    """The first file with another data set behind its meta information."""
    start = _content_at(sent.body)
    if not start:
        return sent
    (length,) = struct.unpack("<I", sent.body[start + 140 : start + 144])
    end = start + 144 + length
    meta = sent.body[start:end]
    if syntax:
        meta = meta.replace(b"1.2.840.10008.1.2.1\0", syntax.encode().ljust(20, b"\0"))
    last = sent.body.find(b"\r\n--", end)
    return sent._replace(body=sent.body[:start] + meta + more + sent.body[last:])


def _deflated_bomb(sent: Sent, rng: Rng) -> Sent:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    return _after_the_meta(sent, packed, "1.2.840.10008.1.2.1.99")


def _deep_sequences(sent: Sent, rng: Rng) -> Sent:
    sequence = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return _after_the_meta(sent, (sequence + item) * int(10 ** rng.uniform(1, 4)))


def _as_archive(sent: Sent, rng: Rng) -> Sent:
    start = _content_at(sent.body)
    return sent._replace(body=sent.body[:start] + b"PK\x03\x04" + sent.body[start + 4 :])


def _odd_texts(sent: Sent, rng: Rng) -> Sent:
    odd = [b"\x1b$B", b"\xff\xfe", b"\0\0\0", b"../../", b"<script", b"\\\\\\\\", b"'; --"]
    piece = odd[int(rng.integers(len(odd)))]
    name = [b"secret-north", b"Secret^north", b"ISO_IR 192", b"20200301", b"1.2.840.10008.5"]
    old = name[int(rng.integers(len(name)))]
    return sent._replace(body=sent.body.replace(old, piece.ljust(len(old), b"\0")[: len(old)]))


MUTATIONS: tuple[Callable[[Sent, Rng], Sent], ...] = (
    _cut,
    _begun_late,
    _without_a_piece,
    _with_a_piece,
    _bytes_changed,
    _head_changed,
    _nulls,
    _other_boundary,
    _other_kind,
    _nested,
    _huge_head,
    _many_heads,
    _odd_heads,
    _twice,
    _bare_lines,
    _many_parts,
    _around,
    _other_length,
    _odd_query,
    _lengths_changed,
    _deflated_bomb,
    _deep_sequences,
    _as_archive,
    _odd_texts,
)


def mutated(sent: Sent, number: int, seed: int) -> tuple[str, Sent]:
    """The mutation of a number: what was done, and the request; at times two at once."""
    rng = np.random.default_rng((seed, number))
    chosen = [MUTATIONS[number % len(MUTATIONS)]]
    if rng.integers(4) == 0:
        chosen.append(MUTATIONS[int(rng.integers(len(MUTATIONS)))])
    for each in chosen:
        sent = each(sent, rng) if sent.body else sent
    return " and ".join(each.__name__.strip("_").replace("_", " ") for each in chosen), sent


def form_of(fields: dict[str, str], files: dict[str, tuple[str, bytes]]) -> Sent:
    """A form of a page, as browsers send it."""
    parts = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    parts += [(f'name="{n}"; filename="{file}"', body) for n, (file, body) in files.items()]
    body = b"".join(
        b"--form\r\nContent-Disposition: form-data; "
        + head.encode()
        + b"\r\n\r\n"
        + content
        + b"\r\n"
        for head, content in parts
    )
    return Sent(body + b"--form--\r\n", "multipart/form-data; boundary=form")
