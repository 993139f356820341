"""Write the CLAIM sheet and the model card of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from covidlit.cards.claim import ClaimItem, claim_sheet
from covidlit.cards.claim_files import COLUMNS, claim_csv, claim_html
from covidlit.cards.model_card import NOT_CLINICAL, model_card
from covidlit.cards.run_artefacts import read_run
from covidlit.files import check_own_page, check_replaceable, write_text
from covidlit.tables import check_own_table


@dataclass(frozen=True)
class WrittenCards:
    """The items of the sheet, and the files that were written."""

    items: list[ClaimItem]
    files: tuple[Path, ...]
    synthetic: bool | None


def write_cards(run_dir: str | Path, out_dir: str | Path | None = None) -> WrittenCards:
    """Write `claim.csv`, `claim.html` and `model_card.md` from the files of a run, atomically.

    Args:
        run_dir: the run's folder.
        out_dir: folder for the three files; None: the run's.

    Raises:
        CovidlitError: see `read_run`; or the folder cannot be written.
    """
    out = Path(run_dir if out_dir is None else out_dir)
    _check_own(out)
    run = read_run(run_dir)
    items = claim_sheet(run)
    title = str(run.files["config.yaml"].get("name") or run.folder.name)
    files = (
        write_text(out / "claim.csv", claim_csv(items, run.synthetic)),
        write_text(out / "claim.html", claim_html(items, title, run.synthetic)),
        write_text(out / "model_card.md", model_card(run, items)),
    )
    return WrittenCards(items, files, run.synthetic)


def _check_own(out: Path) -> None:
    """Make sure that nothing but earlier cards is written over."""
    command = "covidlit cards"
    check_own_table(out / "claim.csv", COLUMNS, command)
    check_own_page(out / "claim.html", command, older="Made by covidlit from the files of the run")
    check_replaceable(
        out / "model_card.md",
        lambda path: NOT_CLINICAL.encode() in path.read_bytes(),
        command,
    )
