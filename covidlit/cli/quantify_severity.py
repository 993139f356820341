"""What `covidlit quantify --severity` prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from covidlit.counted import counted

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 20


def print_severity(table: pd.DataFrame, out: Path, model: str) -> None:
    """The scores of scans, and those that have none with the reason.

    Args:
        table: of `covidlit.quantify.severity.SEVERITY_COLUMNS`.
        out: folder of the results.
        model: what computed the scores.
    """
    from rich.table import Table

    from covidlit.deploy.score_text import score_texts
    from covidlit.quantify.alike import Said, alike
    from covidlit.quantify.severity import SEVERITY_TABLE
    from covidlit.terminal import headed, plain_console

    console = plain_console()
    scored = table[table["status"].eq("ok")]
    refused = table[table["status"].eq("refused")]
    if len(scored):
        shown = Table("Scan", "Score", "Members", "Class", "Missing", "Outside*", title="Severity")
        points = scored["operating_point"].dropna()
        point = None if points.empty else float(points.iloc[0])
        first = scored.head(_SHOWN)
        texts = score_texts(first["score"].tolist(), point)
        for row, text in zip(first.to_dict("records"), texts, strict=True):
            low, high = row["score_low"], row["score_high"]
            members = "" if low is None or low != low else f"{low:.3f}–{high:.3f}"
            called = row["predicted_class"] if isinstance(row["predicted_class"], str) else ""
            shown.add_row(
                str(row["scan_id"]), text, members, called,
                str(int(row["n_missing"])), str(int(row["n_outside"])),
            )  # fmt: skip
        console.print(shown)
        if scored["n_outside"].gt(0).any():
            console.print("* values outside the training range: the page and the table name them.")
        if len(scored) > _SHOWN:
            console.print(f"The first {_SHOWN} of {len(scored)} scans.")
    said = [Said(str(r["scan_id"]), "", str(r["reason"])) for r in refused.to_dict("records")]
    for line in alike(said, by_path=False, table=SEVERITY_TABLE):
        console.print(headed("no severity score", "red", line))
    notes = scored["notes"].dropna()
    for text in dict.fromkeys(part for note in notes for part in str(note).split("; ")):
        n = sum(text in str(note) for note in notes)
        console.print(headed("note", "yellow", f"of {counted(n, 'scan')}: {text}"))
    if len(table) and table["trained_on_synthetic"].fillna(False).any():
        console.print(
            "The severity model was trained on synthetic data: its scores mean nothing for "
            "patients."
        )
    console.print(
        f"{counted(len(scored), 'scan')} scored by {model}, {len(refused)} without a score. "
        f"For research, not for clinical use. Table: {out / SEVERITY_TABLE}",
        soft_wrap=True,
    )
