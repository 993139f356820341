"""What patients are searched by, in a form that an index finds: numbers whole, names from the left.

Capitals, accents and marks between the parts of a name make no difference.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, TypeVar

from django.db import connection, models

from covidlit.platform.accounts.scoped import ScopedQuerySet

Row = TypeVar("Row", bound=models.Model)

_LAST = "\U0010ffff"
"""Behind every character that a text may have."""


def number_searched(text: str) -> str:
    """A hospital's number without spaces and capitals."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def name_searched(text: str) -> str:
    """A name, family name first as in DICOM: words without capitals and accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in apart if not unicodedata.combining(c))
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFC", plain)))


FORMS = {"hospital_id": number_searched, "name": name_searched}
"""By the field of `Identity` that is searched."""


class SearchedField(models.CharField):
    """Another field of the row as it is searched, written with the row however that is.

    Args:
        of: the other field, in `FORMS`.
    """

    def __init__(self, *args: Any, of: str, **more: Any) -> None:
        self.of = of
        super().__init__(*args, **{**more, "editable": False, "db_index": True})

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        """As migrations keep it."""
        name, path, args, more = super().deconstruct()
        more.pop("editable", None)
        more.pop("db_index", None)
        return name, path, list(args), {**more, "of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        """What is written."""
        value = FORMS[self.of](getattr(model_instance, self.of))[: self.max_length]
        setattr(model_instance, self.attname, value)
        return value


def beginning_with(
    rows: ScopedQuerySet[Row], field: str, text: str
) -> ScopedQuerySet[Row]:  # fmt: skip
    """Rows whose text begins so, found by its index."""
    if connection.vendor == "postgresql":
        return rows.filter(**{f"{field}__startswith": text})  # by Django's index for LIKE
    # SQLite's LIKE knows no capitals, so that its index is of no use to it.
    return rows.filter(**{f"{field}__gte": text, f"{field}__lt": text + _LAST})
