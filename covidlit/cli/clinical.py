"""`covidlit clinical`: a hospital's own table as contract 9, with what was changed and missing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from covidlit.counted import counted


def clinical(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="The table: .csv, .xlsx or .parquet.")
    ],
    mapping: Annotated[
        str | None,
        typer.Option(
            help="What it means: a name in conf/clinical (example_wide and example_long show every "
            "key), or the path of a .yaml file; by default the table is of contract 9 already."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="The table that is written, .parquet or .csv.")
    ] = Path("clinical.parquet"),
    index: Annotated[
        str,
        typer.Option(
            help="The date about which values count: admission, first_measurement, a column of "
            "dates, or auto: admission where it is known."
        ),
    ] = "auto",
    rule: Annotated[
        str | None,
        typer.Option(
            help="Write one row per patient as well: first, last, worst, mean or slope of each "
            "value in the window."
        ),
    ] = None,
    before_days: Annotated[
        float | None, typer.Option(help="Days before the index that count; by default all.")
    ] = None,
    after_days: Annotated[
        float,
        typer.Option(
            help="Days after it that still count (results of its day); 0: none, -1: all before "
            "the outcome."
        ),
    ] = 1.0,
) -> None:
    """Read a hospital's table of laboratory values and patients by its mapping.

    OUT holds one row per patient and date (contract 9), with the 17 indicators in one unit each and
    missing values empty. Beside it OUT.features.csv says what the numbers are, OUT.missing.csv what
    is missing in each centre, OUT.missing_tests.csv whether that tells outcome or centre, and
    OUT.changed.csv how many cells each rule changed. `python train.py data=clinical
    data.source.path=OUT` learns from it. What cannot be read or cannot be is refused with row,
    column, value and mend.
    """
    from rich.table import Table

    from covidlit.cohort.clinical.contract import write_clinical
    from covidlit.cohort.clinical.event_times import TIME
    from covidlit.cohort.clinical.missingness import missing_values
    from covidlit.cohort.clinical.own_table import features_path
    from covidlit.cohort.clinical.reduce import within_days
    from covidlit.datamodules.tables.clinical_rows import read_source, rows_of_source
    from covidlit.tables import check_own_table, write_table
    from covidlit.terminal import plain_console

    check_own_table(out, ("patient_id", "date"), "covidlit clinical", [source])
    found = read_source(source, mapping, index)
    window = (before_days, None if after_days < 0 else after_days)
    rows = rows_of_source(found, index, rule or "first", window)
    table = found.table
    if rule == "last":
        days = within_days(found.measurements, "last")[["patient_id", "date", *found.names]]
        table = table.drop(columns=found.names).merge(days, on=["patient_id", "date"])
    dates = rows.patients[["patient_id", "index_date", "outcome_date"]].reset_index(drop=True)
    if TIME in table:  # from the index dates that are written beside it
        table = table.drop(columns=TIME)
        dates = dates.assign(**{TIME: rows.patients[TIME].where(rows.patients[TIME] >= 0)})
    table = table.merge(dates, on="patient_id", validate="m:1")
    write_clinical(table.dropna(axis=1, how="all"), out)
    write_table(found.features, features_path(out))
    write_table(found.counts, out.with_suffix(".changed.csv"))
    numbers = [name for name in rows.values if name in set(rows.features["name"])]
    people = rows.patients.drop(columns=[n for n in numbers if n in rows.patients])
    people = people.assign(**{name: rows.values[name].to_numpy() for name in numbers})
    target = next((name for name in ("outcome", "severity", "progressed") if name in people), None)
    missing = missing_values(people, numbers, target=target, by=("centre",))
    write_table(missing.table, out.with_suffix(".missing.csv"))
    write_table(missing.tests, out.with_suffix(".missing_tests.csv"))
    if rule is not None:
        write_table(people, out.with_suffix(".patients.csv"))

    console = plain_console()

    def say(text: str) -> None:
        console.print(text, soft_wrap=True)

    if len(found.counts):
        shown = Table("column", "rule", "cells", title="Changed")
        for row in found.counts.itertuples():
            shown.add_row(str(row.column), str(row.rule), str(row.n))
        console.print(shown)
    for line in [*rows.lines, *missing.warnings]:
        say(line)
    measured = missing.table[missing.table["by"] == "all"]
    measured = measured[measured["feature"].isin(found.names)]
    n_values = int((measured["n"] - measured["missing"]).sum())
    whole = int(measured["n"].sum())
    share = f" ({100 * n_values / whole:.0f}%)" if whole else ""
    say(
        f"{counted(len(table), 'row')} of {counted(len(people), 'patient')}, "
        f"{counted(len(found.names), 'laboratory value')}; "
        f"in the window {n_values} of {whole} are there{share}. Written: {out}, and beside it "
        ".features.csv, .changed.csv, .missing.csv, .missing_tests.csv"
        + (", .patients.csv." if rule is not None else ".")
    )
