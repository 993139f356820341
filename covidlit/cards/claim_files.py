"""The CLAIM sheet as `claim.csv` and `claim.html`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import pandas as pd

from covidlit.cards.claim import ClaimItem, checklist, count_statuses
from covidlit.evaluation.report import page_template
from covidlit.tables import csv_text

if TYPE_CHECKING:
    import jinja2

COLUMNS = (
    "item", "section", "what", "status", "answer", "source", "missing", "left_to_a_person", "data",
)  # fmt: skip
SYNTHETIC_MARK = "SYNTHETIC DATA"


def claim_csv(items: Sequence[ClaimItem], synthetic: bool | None) -> str:
    """The sheet as CSV, one row per item; sentences and sources stand on lines of their own.

    Args:
        items: of `claim_sheet`.
        synthetic: whether any image is synthetic; None where the run does not say.
    """
    rows = [
        (
            str(item.number), item.section, item.what, item.status, "\n".join(item.answer),
            "\n".join(item.sources), item.reason, item.person, SYNTHETIC_MARK if synthetic else "",
        )
        for item in items
    ]  # fmt: skip
    return csv_text(pd.DataFrame(rows, columns=list(COLUMNS)))


def claim_html(items: Sequence[ClaimItem], title: str, synthetic: bool | None) -> str:
    """The sheet as one self-contained page.

    Args:
        items: of `claim_sheet`.
        title: name of the run.
        synthetic: see `claim_csv`.
    """
    sections = list(dict.fromkeys(item.section for item in items))
    return _template().render(
        title=title,
        synthetic=bool(synthetic),
        checklist=checklist(),
        counts=count_statuses(items),
        sections=[(name, [item for item in items if item.section == name]) for name in sections],
    )


@cache
def _template() -> jinja2.Template:
    # The report's environment, for its style and its macros.
    environment = page_template("macros.html.j2").environment
    source = resources.files("covidlit.cards").joinpath("claim.html.j2").read_text("utf-8")
    return environment.from_string(source)
