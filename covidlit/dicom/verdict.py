"""The verdict on a series: accepted or refused, with every reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from covidlit.dicom.pseudonym import pseudonym_uid
from covidlit.errors import DicomError


class Finding(NamedTuple):
    """A check that a series failed, and what, where and how to mend it."""

    check: str
    message: str


@dataclass(frozen=True)
class Verdict:
    """What the checks say about one series.

    Args:
        series_uid, study_uid: as in the files; `to_row` replaces them by pseudonyms.
        accepted: whether the series may be read.
        findings: the failed checks that were not overridden, the most telling first.
        notes: what was found or done that does not refuse the series.
        folder: where it lies.
        facts: shape, spacing and the non-identifying metadata of the series.
    """

    series_uid: str
    study_uid: str
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    folder: str = ""
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        """Whether no check refuses the series."""
        return not self.findings

    @property
    def reason(self) -> str:
        """All failed checks in one line; empty where accepted."""
        return "; ".join(f"{check}: {message}" for check, message in self.findings)

    def to_row(self, *, keep_identifiers: bool = False) -> dict[str, object]:
        """One row of the inspection table, without anything that identifies the patient.

        Args:
            keep_identifiers: keep the original UIDs instead of their pseudonyms.
        """
        name = str if keep_identifiers else pseudonym_uid
        return {
            "series_uid": name(self.series_uid),
            "study_uid": name(self.study_uid),
            "folder": self.folder,
            "accepted": self.accepted,
            "checks": " ".join(dict.fromkeys(finding.check for finding in self.findings)),
            "reason": self.reason,
            "notes": "; ".join(self.notes),
            **self.facts,
        }


class SeriesRefused(DicomError):  # noqa: N818 (reads as what happened)
    """A series that the checks refuse; `verdict` holds every reason."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        checks = ", ".join(dict.fromkeys(finding.check for finding in verdict.findings))
        super().__init__(
            f"the series is refused: {verdict.reason}.".replace("..", "."),
            where=verdict.folder or pseudonym_uid(verdict.series_uid),
            fix=f"mend the files, or override the checks you accept the risk of: {checks}.",
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the verdict, so that worker processes can raise it."""
        return type(self), (self.verdict,)
