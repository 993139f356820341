"""CLAIM sheet and model card: what a run's own files say, and what is left to a person."""

from covidlit.cards.claim import ClaimItem, claim_sheet, count_statuses
from covidlit.cards.model_card import model_card
from covidlit.cards.run_artefacts import RunArtefacts, read_run
from covidlit.cards.write import WrittenCards, write_cards

__all__ = [
    "ClaimItem",
    "RunArtefacts",
    "WrittenCards",
    "claim_sheet",
    "count_statuses",
    "model_card",
    "read_run",
    "write_cards",
]
