"""`covidlit sweep`: the table and the page of a sweep again, also while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sweep(
    folder: Annotated[
        Path, typer.Argument(help="Folder of the sweep, such as runs/sweeps/csacnet.")
    ],
    storage: Annotated[
        str | None,
        typer.Option(help="URL of the study's database, where it does not lie in the folder."),
    ] = None,
    study_name: Annotated[
        str | None, typer.Option(help="The study, where the database holds several.")
    ] = None,
    to_journal: Annotated[
        bool,
        typer.Option(
            "--to-journal",
            help="First copy the study from SQLite into a journal, which several machines may "
            "share; no sweep may run meanwhile.",
        ),
    ] = False,
) -> None:
    """Show the best trials of a sweep and write its page again; its study is not changed."""
    from covidlit.files import check_own_page
    from covidlit.sweep import conversion
    from covidlit.sweep.existing_study import existing_study
    from covidlit.sweep.page import PAGE, write_page
    from covidlit.sweep.table import print_table
    from covidlit.terminal import plain_console

    if to_journal:
        conversion.to_journal(folder, storage)
        storage = None
    study = existing_study(folder, storage, study_name)
    check_own_page(folder / PAGE, "covidlit sweep", older="<footer>Made by covidlit from the study")
    print_table(study)
    page = write_page(study, folder)
    plain_console().print(f"Page: {page}", soft_wrap=True)
