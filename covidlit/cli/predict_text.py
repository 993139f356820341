"""What `covidlit predict` prints of the scores of scans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from covidlit.counted import counted

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from covidlit.deploy import Timings
    from covidlit.deploy.run_facts import RunFacts


def print_timings(timings: Timings, console: Console) -> None:
    """Print how long each step took."""
    from rich.table import Table

    shown = Table("Step", title="Timings", caption_justify="left")
    for name in ("Seconds", "Share", "Per scan"):
        shown.add_column(name, justify="right")
    for step in timings.rows():
        shown.add_row(step.name, f"{step.seconds:.2f}", f"{step.share:.0%}", f"{step.per_scan:.2f}")
    shown.caption = f"{timings.total:.2f} s in all"
    if timings.overlapped:
        shown.caption += (
            f": {timings.overlapped:.2f} s less than the steps together, for scans were prepared "
            "while others were scored"
        )
    console.print(shown)


def print_scores(table: pd.DataFrame, out: Path, engine: str, console: Console) -> None:
    """Print the table of scores, and what is to be known of them.

    Args:
        table: of `covidlit.deploy.predict.predict_with`.
        out: where it was written.
        engine: the name of what computed them.
        console: where to print.
    """
    from rich.table import Table
    from rich.text import Text

    from covidlit.deploy.override_notes import count_overridden
    from covidlit.deploy.score_text import score_texts

    # Score and class must stay whole on a narrow terminal; the other two share what is left.
    shown = Table(title="Scores")
    shown.add_column("Scan", overflow="fold")
    shown.add_column("Score", no_wrap=True)
    shown.add_column("Class", no_wrap=True)
    shown.add_column("Reason or note", overflow="fold")
    points = table["operating_point"].dropna()
    point = None if points.empty else float(points.iloc[0])
    texts = table.assign(score=score_texts(table["score"].tolist(), point))
    texts["remark"] = texts["reason"].fillna(texts["notes"])
    texts = texts.astype(object).where(texts.notna(), "")
    for row in texts.itertuples(index=False):
        # An image that no manifest names has no id: its path alone tells it apart.
        scan = Text.assemble(row.scan_id, "\n", (row.path, "dim")) if row.scan_id else row.path
        shown.add_row(scan, row.score, row.predicted_class, row.remark)
    console.print(shown)
    console.print(_rule_of_classes(table))
    for overridden, n in count_overridden(table["notes"].dropna()).items():
        console.print(
            f"{n} of {counted(len(table), 'scan')} would have been refused: {overridden}.",
            style="yellow",
        )
    if table["trained_on_synthetic"].any():
        console.print(
            "This network was trained on synthetic images: its scores mean nothing for patients."
        )
    if synthetic := int(table["synthetic"].fillna(False).sum()):
        console.print(
            f"{synthetic} of {counted(len(table), 'scan')} {'is' if synthetic == 1 else 'are'} "
            "synthetic, as their manifest says."
        )
    refused = int((table["status"] == "refused").sum())
    console.print(
        f"{counted(len(table) - refused, 'scan')} scored, {refused} refused, by {engine}. "
        f"Table: {out}",
        soft_wrap=True,
    )


def print_run(table: pd.DataFrame, run: RunFacts | None, console: Console) -> None:
    """Print what the network's run says: who of these it has seen, its test, its warnings."""
    from covidlit.deploy.run_facts import SEEN

    for text in SEEN.values():
        if n := int(table["notes"].str.contains(text, regex=False).fillna(False).sum()):
            said = text.partition(": ")
            console.print(
                f"{n} of {counted(len(table), 'scan')} {'was' if n == 1 else 'were'} {said[0]}.",
                style="yellow",
                soft_wrap=True,
            )
    if run is not None and run.sentence:
        console.print(run.sentence, soft_wrap=True)


def _rule_of_classes(table: pd.DataFrame) -> str:
    """How scores became classes, in a sentence."""
    from covidlit.deploy.score_text import point_text

    if any(name.startswith("score_") for name in table):
        return "Class: the most probable one."
    points = table["operating_point"].dropna()
    if points.empty:
        return "The checkpoint has no operating point: scores are not called positive or negative."
    point = point_text(points.iloc[0], table["score"])
    return (
        f"Class: positive from a score of {point} on, the operating point of the run that trained "
        "the network."
    )
