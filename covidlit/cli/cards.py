"""`covidlit cards`: CLAIM sheet and model card of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def cards(
    run: Annotated[Path, typer.Argument(help="Folder of a run, as `covidlit train` leaves it.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for claim.csv, claim.html and model_card.md. Default: the run's folder.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write the CLAIM checklist and the model card of a run from its own files.

    Every item is marked automatic, needs a person, or missing (the run lacks what would answer it).
    """
    from covidlit.cards import count_statuses, write_cards
    from covidlit.terminal import plain_console

    written = write_cards(run, out)
    console = plain_console(soft_wrap=True)
    if written.synthetic:
        console.print("Synthetic data.")
    counts = count_statuses(written.items)
    shown = ", ".join(f"{n} {status}" for status, n in counts.items())
    console.print(f"CLAIM: {len(written.items)} items: {shown}.")
    for item in written.items:
        if item.status == "missing":
            console.print(f"  missing {item.number}, {item.what}: {item.reason}.")
    console.print("Written: ", *written.files, sep="\n  ")
