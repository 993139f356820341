"""Write the CLAIM sheet and the model card of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.cards.claim import ClaimItem, claim_sheet
from covidlit.cards.claim_files import claim_csv, claim_html
from covidlit.cards.model_card import model_card
from covidlit.cards.run_artefacts import read_run
from covidlit.files import check_writable, write_json, write_text

if TYPE_CHECKING:
    from covidlit.datamodules import VolumeDataModule


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
    for name in ("claim.csv", "claim.html", "model_card.md"):
        check_writable(out / name)
    run = read_run(run_dir)
    items = claim_sheet(run)
    title = str(run.files["config.yaml"].get("name") or run.folder.name)
    files = (
        write_text(out / "claim.csv", claim_csv(items, run.synthetic)),
        write_text(out / "claim.html", claim_html(items, title, run.synthetic)),
        write_text(out / "model_card.md", model_card(run, items)),
    )
    return WrittenCards(items, files, run.synthetic)


def write_run_records(
    config: Mapping[str, Any], datamodule: VolumeDataModule, run_dir: str | Path
) -> None:
    """Write `cohort.json` and `hardware.json`, which the other files of a run do not tell.

    Args:
        config: the resolved configuration (`conf/train.yaml`).
        datamodule: set up.
        run_dir: the run's folder.
    """
    from covidlit.cards.cohort_record import cohort_record_of
    from covidlit.cards.hardware import hardware_record

    write_json(Path(run_dir) / "cohort.json", cohort_record_of(datamodule))
    write_json(Path(run_dir) / "hardware.json", hardware_record(config))
