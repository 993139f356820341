"""A platform, as a program sees it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from covidlit.platform.client.clinical import ClinicalTable
from covidlit.platform.client.connection import TRIES, Connection, PlatformError
from covidlit.platform.client.grading import Level, Waiting
from covidlit.platform.client.jobs import Job
from covidlit.platform.client.results import Export, Sending
from covidlit.platform.client.rows import Patient, Scan, Upload
from covidlit.platform.client.sending import Progress, files_of, send_files, wait_for


class Platform:
    """What a platform has, and new scans, grades, corrections and values for it.

    Args:
        address: as in the browser, such as "http://127.0.0.1:8000".
        token: of the page Tokens; it does what its scopes name, where its owner may.
        timeout: seconds without a byte after which a request is given up.
        tries: of a request whose connection breaks, with growing pauses: about a minute in all.

    Raises:
        PlatformError: the address or the token is none.
    """

    def __init__(self, address: str, token: str, timeout: float = 60.0, tries: int = TRIES) -> None:
        self.connection = Connection(address, token, timeout, tries)

    def me(self) -> dict[str, Any]:
        """Who the token stands for, and what it may do where."""
        found: dict[str, Any] = self.connection.get("/me")
        return found

    def patients(
        self, search: str | None = None, centre: str | None = None, study_group: str | None = None
    ) -> Iterator[Patient]:
        """Patients by pseudonym, fetched a page at a time; those who come in meanwhile are no harm.

        Args:
            search: what the pseudonym begins with.
            centre, study_group: of them alone.
        """
        rows = self.connection.pages(
            "/patients", "after", search=search, centre=centre, study_group=study_group, limit=200
        )
        for each in rows:
            yield Patient.of(self.connection, each)

    def patient(self, pseudonym: str) -> Patient:
        """A patient."""
        return Patient.of(self.connection, self.connection.get(f"/patients/{pseudonym}"))

    def scan(self, number: int) -> Scan:
        """A scan, by its number in the address of its page."""
        return Scan.of(self.connection, self.connection.get(f"/scans/{number}"))

    def diseases(self) -> list[dict[str, Any]]:
        """The diseases that one's study groups follow: name, title, classes and factors."""
        found: list[dict[str, Any]] = self.connection.get("/diseases")
        return found

    def factors(self, centre: str | None = None, disease: str | None = None) -> pd.DataFrame:
        """The factors of all measured scans as contract 8 has them, with pseudonyms.

        Args:
            centre: of its patients alone.
            disease: name of it; by default the first one.
        """
        rows = [
            {
                **each["factors"],
                "patient_id": each["patient_id"],
                "scan_id": each["scan_id"],
                "acquisition_date": each["acquisition_date"],
            }
            for each in self.connection.pages(
                "/factors", "after", centre=centre, disease=disease, limit=200
            )
        ]
        first = ["patient_id", "scan_id", "acquisition_date"]
        table = pd.DataFrame(rows, columns=None if rows else first)
        table["acquisition_date"] = pd.to_datetime(table["acquisition_date"])
        return table[[*first, *(name for name in table if name not in first)]]

    def factor_definitions(self) -> pd.DataFrame:
        """What each factor is: unit, formula, source."""
        return pd.DataFrame(self.connection.get("/factors/definitions"))

    def upload(
        self,
        folder: str | Path,
        centre: str,
        study_group: str,
        *,
        progress: Progress | None = None,
        resume: int | None = None,
        wait: bool = True,
    ) -> Upload:
        """Bring the scans of a folder in, in pieces that go on after a break.

        Args:
            folder: with DICOM files or ZIP archives; or one such file.
            centre, study_group: whom they are for.
            progress: told how many bytes of all have come.
            resume: number of an upload that broke off: what has come is not sent again.
            wait: until the platform has taken them in; measuring goes on after that.

        Returns:
            The upload, with what was refused for which reason.

        Raises:
            PlatformError: something was refused, or the connection did not come back; the message
                says how to go on.
        """
        if resume is None:
            files = files_of(Path(folder))  # first: an upload that stays empty helps nobody
            names = {"centre": centre, "study_group": study_group}
            answer = self.connection.post("/uploads", names, again=False)
            upload = Upload.of(self.connection, answer)
        else:
            upload = self.find_upload(resume)
            if (upload.centre, upload.study_group) != (centre, study_group):
                raise PlatformError(
                    f"it is for {upload.centre}, {upload.study_group}.", where=f"upload {resume}",
                    fix="name these, or begin another one without resume.",
                )  # fmt: skip
            files = files_of(Path(folder)) if upload.job is None else []
        if upload.job is None:
            try:
                upload = send_files(self.connection, files, upload, progress)
            except PlatformError as error:
                raise PlatformError(
                    error.what, where=error.where, status=error.status,
                    fix=f"{error.fix} Then go on: upload(..., resume={upload.id}).",
                ) from error  # fmt: skip
        return wait_for(self.connection, upload) if wait else upload

    def uploads(self) -> Iterator[Upload]:
        """Uploads, the newest first."""
        for each in self.connection.pages("/uploads", "before"):
            yield Upload.of(self.connection, each)

    def find_upload(self, number: int) -> Upload:
        """An upload, by its number."""
        return Upload.of(self.connection, self.connection.get(f"/uploads/{number}"))

    def jobs(self) -> Iterator[Job]:
        """Jobs, the newest first."""
        for each in self.connection.pages("/jobs", "before"):
            yield Job.of(self.connection, each)

    def add_clinical_table(
        self,
        path: str | Path,
        centre: str,
        study_group: str,
        mapping: str = "",
        others: Sequence[str | Path] = (),
    ) -> ClinicalTable:
        """Bring laboratory values in; a job reads them (`table.job.wait()`).

        Args:
            path: of the table, .csv, .xlsx or .parquet, with the hospital's patient numbers.
            centre, study_group: whose patients it tells of.
            mapping: by which it is read, of `mappings`; empty: one that `covidlit clinical` wrote.
            others: files that the mapping names.
        """
        files = [("table", path), *(("patients", other) for other in others)]
        answer = self.connection.call(
            "POST", "/clinical/tables", again=False,
            data={"centre": centre, "study_group": study_group, "mapping": mapping},
            files=[(name, (Path(file).name, Path(file).read_bytes())) for name, file in files],
        )  # fmt: skip
        return ClinicalTable.of(self.connection, answer.json())

    def clinical_tables(self) -> Iterator[ClinicalTable]:
        """Clinical tables, the newest first."""
        for each in self.connection.pages("/clinical/tables", "before"):
            yield ClinicalTable.of(self.connection, each)

    def mappings(self) -> list[str]:
        """Names of the mappings by which hospitals' own tables are read."""
        found: list[str] = self.connection.get("/clinical/mappings")
        return found

    def grading_choices(self) -> dict[str, Any]:
        """The words that graders choose from."""
        found: dict[str, Any] = self.connection.get("/grading/choices")
        return found

    def queue(self, level: Level, limit: int = 50, disease: str | None = None) -> list[Waiting]:
        """Scans that wait for one's grade, those that wait longest first; at most 200.

        Args:
            level: "first" or "second".
            limit: so many at most.
            disease: that they wait to be graded for; by default the first one.
        """
        answer = self.connection.get(f"/grading/{level}/queue", limit=limit, disease=disease)
        return [Waiting.of(self.connection, each) for each in answer["rows"]]

    def grading_manifest(self, disease: str | None = None) -> pd.DataFrame:
        """All scans with their grades for a disease (the first), as training reads them."""
        answer = self.connection.call("GET", "/grading/manifest.csv", {"disease": disease})
        return pd.read_csv(io.StringIO(answer.content.decode()))

    def sendings(self) -> Iterator[Sending]:
        """Results that were confirmed to be sent, the newest first."""
        for each in self.connection.pages("/sendings", "before"):
            yield Sending.of(self.connection, each)

    def exports(self) -> Iterator[Export]:
        """One's own training sets, the newest first."""
        for each in self.connection.pages("/exports", "before"):
            yield Export.of(self.connection, each)

    def export(self, centre: str, study_group: str) -> Export:
        """Have a training set made of the corrected scans (`export.wait().save(path)`)."""
        body = {"centre": centre, "study_group": study_group}
        return Export.of(self.connection, self.connection.post("/exports", body, again=False))

    def trail(self) -> Iterator[dict[str, Any]]:
        """Entries of the audit trail, the newest first."""
        yield from self.connection.pages("/trail", "before")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def __enter__(self) -> Platform:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
