"""The CLAIM sheet of a run: each item answered from the run's files, or left to a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml

from covidlit.cards import claim_data, claim_model, claim_partitions, claim_results
from covidlit.cards.run_artefacts import Facts, MissingFact, RunArtefacts

Status = Literal["automatic", "needs a person", "missing"]
STATUSES: tuple[Status, ...] = ("automatic", "needs a person", "missing")

ANSWERS: dict[int, Callable[[Facts], list[str] | None]] = {
    1: claim_model.technology,
    7: claim_data.sources,
    8: claim_data.eligibility,
    9: claim_data.preprocessing,
    10: claim_data.selection,
    11: claim_data.data_elements,
    12: claim_data.deidentification,
    13: claim_data.missing_data,
    20: claim_partitions.assignment,
    21: claim_partitions.disjointness,
    22: claim_model.architecture,
    23: claim_model.software,
    24: claim_model.initial_values,
    25: claim_model.training,
    26: claim_model.model_selection,
    27: claim_model.ensembling,
    28: claim_results.measures,
    29: claim_results.uncertainty,
    30: claim_results.robustness,
    31: claim_results.explanations,
    32: claim_results.external_test,
    33: claim_partitions.flow,
    34: claim_partitions.characteristics,
    35: claim_results.performance,
    36: claim_results.accuracy,
    37: claim_results.failures,
}
"""What answers an item by its number: sentences, or None where only a person can."""


@dataclass(frozen=True)
class ClaimItem:
    """One item of the sheet.

    Attributes:
        number: in the 2020 edition, 1 to 42.
        section: heading, with the heading below it where there is one.
        what: what the item asks for.
        status: "automatic", "needs a person" or "missing" (a run could answer it, this one cannot).
        answer: sentences from the run's files; empty unless the status is "automatic".
        sources: file and key that each value of the answer was read from.
        reason: what the run lacks, where the status is "missing".
        person: what only a person can write, empty where there is nothing.
    """

    number: int
    section: str
    what: str
    status: Status
    answer: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    reason: str = ""
    person: str = ""


@cache
def checklist() -> dict[str, Any]:
    """The content of `claim_items.yaml`: edition, citation and items."""
    text = resources.files("covidlit.cards").joinpath("claim_items.yaml").read_text("utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def claim_sheet(run: RunArtefacts) -> list[ClaimItem]:
    """All items in order, each with its status, for a run as `read_run` gives it."""
    return [_item(entry, run) for entry in checklist()["items"]]


def count_statuses(items: Sequence[ClaimItem]) -> dict[Status, int]:
    """How many items have each status."""
    counts = Counter(item.status for item in items)
    return {status: counts[status] for status in STATUSES}


def _item(entry: dict[str, Any], run: RunArtefacts) -> ClaimItem:
    section = " · ".join(entry[key] for key in ("section", "topic") if key in entry)
    answer_of = ANSWERS.get(entry["number"])
    facts, answer, reason = Facts(run), None, ""
    try:
        answer = None if answer_of is None else answer_of(facts)
    except MissingFact as lack:
        reason = str(lack)
    status: Status = "missing" if reason else "needs a person" if answer is None else "automatic"
    return ClaimItem(
        number=entry["number"],
        section=section,
        what=entry["what"],
        status=status,
        answer=tuple(answer or ()),
        sources=tuple(facts.sources) if answer else (),
        reason=reason,
        person=entry["person"] or "",
    )
