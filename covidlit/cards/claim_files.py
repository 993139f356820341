"""The CLAIM sheet as `claim.csv` and `claim.html`."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from covidlit.cards.claim import ClaimItem, checklist, count_statuses
from covidlit.evaluation.report import page_template

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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in items:
        cells = [
            str(item.number), item.section, item.what, item.status, "\n".join(item.answer),
            "\n".join(item.sources), item.reason, item.person, SYNTHETIC_MARK if synthetic else "",
        ]  # fmt: skip
        writer.writerow([cell_text(cell) for cell in cells])
    return text.getvalue()


def cell_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula.

    Source: OWASP, CSV Injection: a cell that starts with one of these is put behind an apostrophe.
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


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
