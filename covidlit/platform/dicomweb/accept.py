"""Media types that a client takes, chosen among those that there are.

Source: DICOM PS3.18, section 8.7; RFC 9110, section 12.5.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.message import Message
from typing import NamedTuple

from django.http import HttpRequest

from covidlit.platform.api.problems import ApiProblem

_MOST_TYPES = 50


class Wanted(NamedTuple):
    """A media type of an Accept header.

    Args:
        kind: such as image/png; of a multipart the kind of its parts.
        is_multipart: whether the parts come in a multipart/related.
        syntax: transfer syntax that is asked for; `*`: any; empty: the usual one.
        weight: 0 to 1.
    """

    kind: str
    is_multipart: bool
    syntax: str
    weight: float


def wanted(request: HttpRequest) -> list[Wanted]:
    """What a request takes, the best first; without a header anything."""
    text = request.GET.get("accept") or request.headers.get("accept") or "*/*"
    found = [_one(each) for each in _split(text)[:_MOST_TYPES]]
    return sorted((each for each in found if each.weight > 0), key=lambda each: -each.weight)


def choose(request: HttpRequest, kinds: Sequence[str], multipart: bool = False) -> Wanted:
    """The first of a request's media types that there is.

    Args:
        request: with an Accept header, or `accept` in its address.
        kinds: that there are, the usual one first.
        multipart: whether the answer is in parts.

    Raises:
        ApiProblem: 406, there is none of them.
    """
    for each in wanted(request):
        if each.kind in ("*/*", "multipart/related"):
            return each._replace(kind=kinds[0], is_multipart=multipart)
        if each.is_multipart and not multipart:
            continue
        family = each.kind.removesuffix("*")
        for kind in kinds:
            if kind == each.kind or (each.kind.endswith("/*") and kind.startswith(family)):
                return each._replace(kind=kind)
    raise ApiProblem(
        406, "it is not to be had in a media type that you take.", where="Accept",
        fix=f"take {' or '.join(kinds)}{' in multipart/related' if multipart else ''}.",
    )  # fmt: skip


def _one(text: str) -> Wanted:
    header = Message()
    header["Content-Type"] = text.strip()[:300]
    kind = text.partition(";")[0].strip().lower()
    parts = str(header.get_param("type") or "").lower()
    try:
        weight = float(str(header.get_param("q") or "1"))
    except ValueError:
        weight = 1.0
    syntax = str(header.get_param("transfer-syntax") or "")
    is_multipart = kind == "multipart/related"
    return Wanted(parts if is_multipart and parts else kind, is_multipart, syntax, weight)


def _split(text: str) -> list[str]:
    """By commas that stand in no quotation marks."""
    found, quoted = [""], False
    for letter in text[:8000]:
        if letter == '"':
            quoted = not quoted
        if letter == "," and not quoted:
            found.append("")
        else:
            found[-1] += letter
    return [each for each in found if each.strip()]
