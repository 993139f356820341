"""Something that a platform has, as an object made from an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any, ClassVar, Self

from covidlit.platform.client.connection import Connection


@dataclass(frozen=True, kw_only=True)
class Row:
    """Something that the API answers; of what later versions add nothing is kept."""

    days: ClassVar[tuple[str, ...]] = ()
    times: ClassVar[tuple[str, ...]] = ()

    connection: Connection = field(repr=False, compare=False)

    @classmethod
    def of(cls, connection: Connection, answer: Mapping[str, Any]) -> Self:
        """The object of an answer."""
        known = {each.name for each in fields(cls)} - {"connection"}
        values = {name: value for name, value in answer.items() if name in known}
        for name in cls.days:
            values[name] = None if values[name] is None else date.fromisoformat(values[name])
        for name in cls.times:
            values[name] = None if values[name] is None else datetime.fromisoformat(values[name])
        return cls(connection=connection, **values)
