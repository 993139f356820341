"""What is wrong with cells of a source, gathered and told at once."""

from __future__ import annotations

from typing import Any

from covidlit.cohort.clinical.cells import as_text
from covidlit.cohort.clinical.find_header import Sheet, column_letters
from covidlit.counted import counted
from covidlit.errors import ManifestError

_LISTED, _LONGEST = 8, 60


class Problems:
    """Sentences on cells, each with row, column, value and mend; one of a cell, the first."""

    def __init__(self) -> None:
        self._found: list[tuple[str, str, str]] = []
        self._told: set[tuple[str, int, int | None]] = set()

    def of_cell(self, sheet: Sheet, row: int, place: int, what: str, fix: str) -> None:
        """A cell: `what` goes on from "value ...:"."""
        of_column, own = (sheet.where, place, None), (sheet.where, place, row)
        if of_column in self._told or own in self._told:
            return
        self._told.add(own)
        cell = sheet.cells.iat[row, place]
        shown = "(empty)" if cell is None else repr(as_text(cell)[:_LONGEST])
        self._found.append(
            (
                sheet.where,
                f"row {sheet.row(row)}, column {sheet.header[place]!r}: value {shown}: {what}",
                fix,
            )
        )

    def of_column(self, sheet: Sheet, place: int, what: str, fix: str) -> None:
        """A column as a whole, of whose cells no more is said: `what` goes on from its name."""
        if (sheet.where, place, None) in self._told:
            return
        self._told.add((sheet.where, place, None))
        name = f"column {sheet.header[place]!r} ({column_letters(place)})"
        self._found.append((sheet.where, f"{name} {what}", fix))

    @property
    def has_column(self) -> bool:
        """Whether a whole column was refused, for want of which cells of others may seem wrong."""
        return any(row is None for _, _, row in self._told)

    def of(self, where: str, what: str, fix: str) -> None:
        """Anything else: a sentence without its point."""
        self._found.append((where, what, fix))

    def raise_all(self) -> None:
        """Raise what was gathered, if anything.

        Raises:
            ManifestError: the first of them, and how many more there are; each mend once.
        """
        if not self._found:
            return
        shown = self._found[:_LISTED]
        more = len(self._found) - len(shown)
        fixes = list(dict.fromkeys(fix for _, _, fix in shown))
        raise ManifestError(
            f"{counted(len(self._found), 'problem')}: "
            + "; ".join(dict.fromkeys(what for _, what, _ in shown))
            + (f" (and {more} more)" if more else "")
            + ".",
            where=shown[0][0],
            fix="; ".join(fixes).rstrip(".") + ".",
        )


def unique_or_problem(
    sheet: Sheet,
    patients: list[Any],
    values: list[Any],
    place: int,
    problems: Problems,
    tolerance: float | None = None,
) -> dict[Any, Any]:
    """The one value of each patient: the first that is there.

    Another one later is a problem, unless both are numbers that differ by no more than
    `tolerance`.
    """  # fmt: skip
    found: dict[Any, Any] = {}
    rows: dict[Any, int] = {}
    told: set[Any] = set()
    for row, (patient, value) in enumerate(zip(patients, values, strict=True)):
        if value is None or value != value:
            continue
        if patient not in found:
            found[patient], rows[patient] = value, row
            continue
        known = found[patient]
        if value == known or (tolerance is not None and abs(value - known) <= tolerance):
            continue
        if patient not in told:
            told.add(patient)
            problems.of_cell(
                sheet, row, place,
                f"patient {patient} has another value, "
                f"{as_text(sheet.cells.iat[rows[patient], place])!r}, in row "
                f"{sheet.row(rows[patient])}",
                "correct one of the rows: this is one value for each patient",
            )  # fmt: skip
    return found
