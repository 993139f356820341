"""What a search asks for.

Source: DICOM PS3.18, section 8.3.4 and 10.6.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.db.models import Q
from django.http import QueryDict
from pydicom.datadict import dictionary_has_tag, keyword_for_tag, tag_for_keyword

from covidlit.platform.api.problems import ApiProblem

MOST_RESULTS = 1000
_UID_LIST = re.compile(r"[0-9.]*([,\\][0-9.]*)*")
_DAYS = re.compile(r"([0-9]{8})?(-)?([0-9]{8})?")
_FUZZY = "The fuzzymatching parameter is not supported. Only literal matching has been performed."
_MORE = (
    "The number of results exceeded the maximum supported by the server. Additional results can "
    "be requested."
)


class Query(NamedTuple):
    """A search.

    Args:
        wanted: values of attributes that it matches, by their keywords.
        limit: results at most.
        offset: results that are passed over.
        warning: of what was not done as asked for; empty: nothing.
    """

    wanted: Mapping[str, str]
    limit: int
    offset: int
    warning: str

    def with_more(self, is_more: bool) -> str:
        """The warning of an answer, whether there are more results than may be told at once."""
        return self.warning or (_MORE if is_more and self.limit == MOST_RESULTS else "")


def read_query(given: QueryDict, known: Mapping[str, Any]) -> Query:
    """The query of an address.

    Args:
        given: of it; what it asks to be included beyond what is told is passed over.
        known: keywords of the attributes that are matched here.

    Raises:
        ApiProblem: 400, it is none.
    """
    wanted, warning = {}, ""
    for name, value in given.items():
        if name in ("limit", "offset", "includefield", "accept"):
            continue
        if name == "fuzzymatching":
            warning = _FUZZY if value.lower() == "true" else warning
            continue
        keyword = keyword_of(name)
        if keyword in known:
            wanted[keyword] = value.strip()
        else:
            warning = f"The attribute {keyword} is not matched here; it was left out."
    limit = min(_whole(given, "limit", MOST_RESULTS), MOST_RESULTS)
    return Query(wanted, limit, _whole(given, "offset", 0), warning)


def keyword_of(name: str) -> str:
    """The keyword of an attribute, which is given by it or by its tag.

    Raises:
        ApiProblem: 400, there is none; those in sequences are not matched.
    """
    last = name.rpartition(".")[2]
    if re.fullmatch(r"[0-9a-fA-F]{8}", last) and dictionary_has_tag(int(last, 16)):
        return keyword_for_tag(int(last, 16))
    if tag_for_keyword(last) is not None:
        return last
    raise ApiProblem(
        400, "it names an attribute that DICOM does not know.", where="query",
        fix="name attributes by keyword or by tag, as StudyDate or 00080020.",
    )  # fmt: skip


def one_of(*fields: str) -> Callable[[str], Q]:
    """Matches a UID, or a list of them, in any of these columns for strangers and others."""

    def matched(value: str) -> Q:
        if not _UID_LIST.fullmatch(value):
            raise _wrong("a UID")
        uids = [each for each in re.split(r"[,\\]", value) if each]
        true, pseudonym = fields
        known = Q(identified=True, **{f"{true}__in": uids})
        return known | Q(identified=False, **{f"{pseudonym}__in": uids}) if uids else Q()

    return matched


def like(field: str) -> Callable[[str], Q]:
    """Matches a text, in which `*` stands for any letters and `?` for one."""

    def matched(value: str) -> Q:
        if not value or set(value) == {"*"}:
            return Q()
        if not set(value) & set("*?"):
            return Q(**{f"{field}__iexact": value})
        pattern = "".join(map(_pattern, re.split(r"([*?]+)", value[:100])))
        return Q(**{f"{field}__iregex": f"^{pattern}$"})

    return matched


def _pattern(part: str) -> str:
    """A part of a text, or a run of wild cards: one by one these could be matched for minutes."""
    if not set(part) & set("*?"):
        return re.escape(part)
    return f".{{{part.count('?')},}}" if "*" in part else f".{{{len(part)}}}"


def days(field: str) -> Callable[[str], Q]:
    """Matches a day, or a range of them, YYYYMMDD-YYYYMMDD, open at either end."""

    def matched(value: str) -> Q:
        found = _DAYS.fullmatch(value.replace(" ", ""))
        if found is None or (value and not any(found.groups())):
            raise _wrong("a day or range of days")
        first, dash, last = found.groups()
        if not dash:
            return Q(**{field: first}) if first else Q()
        condition = Q(**{f"{field}__gt": ""})
        condition &= Q(**{f"{field}__gte": first}) if first else Q()
        return condition & (Q(**{f"{field}__lte": last}) if last else Q())

    return matched


def empty(value: str) -> Q:
    """Matches an attribute that nobody is told: any, or nothing."""
    return Q() if not value.strip("*") else Q(pk__in=[])


def _whole(given: QueryDict, name: str, default: int) -> int:
    value = given.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise _wrong(f"a number as {name}")
    return int(value)


def _wrong(what: str) -> ApiProblem:
    return ApiProblem(
        400, f"it needs {what}.", where="query",
        fix="see PS3.18, section 10.6, for how a value is written.",
    )  # fmt: skip
