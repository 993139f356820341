"""What a platform has, as objects; what is large is fetched when it is asked for."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, Self
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from covidlit.names import check_name
from covidlit.platform.client.clinical import Clinical, Severity
from covidlit.platform.client.connection import Connection, PlatformError
from covidlit.platform.client.correcting import Draft
from covidlit.platform.client.grading import Standing
from covidlit.platform.client.jobs import Job, job_in
from covidlit.platform.client.results import Sendable
from covidlit.platform.client.row import Row


@dataclass(frozen=True, kw_only=True)
class Lesion(Row):
    """A lesion of a labelling.

    Args:
        number: its value in the planes of instances.
        kind: class of the lesion, such as "ground_glass".
        slice_index: plane in which most of it lies, from 0.
        factors: contract 8; None where undefined.
    """

    number: int
    kind: str
    slice_index: int
    factors: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Labelling(Row):
    """Lungs and lesions of a scan, by a model or a person.

    Args:
        id: number of it.
        scan: number of its scan.
        disease: whose lesions they are.
        version: the highest one of a scan and a disease is shown.
        labelled_by: a model, or masks.
        corrected_by: account of the person who did; None: nobody.
        made_at: when.
        factors: of the scan (contract 8); None where undefined.
        changes: what became of the lesions since the scan before.
    """

    times = ("made_at",)

    id: int
    scan: int
    disease: str
    version: int
    labelled_by: str
    corrected_by: str | None
    made_at: datetime
    factors: dict[str, Any]
    changes: list[dict[str, Any]]

    def lesions(self) -> list[Lesion]:
        """The lesions by number."""
        rows = self.connection.get(f"/labellings/{self.id}/lesions")
        return [Lesion.of(self.connection, each) for each in rows]

    def plane(
        self, index: int, of: Literal["classes", "instances"] = "classes"
    ) -> NDArray[np.integer]:
        """Labels of an axial plane, (rows, columns): classes (uint8) or numbers (int32)."""
        return _plane(self.connection, f"/labellings/{self.id}/planes/{index}", of=of)

    def save(self, folder: str | Path) -> list[Path]:
        """Write both label volumes (contract 7, NIfTI) into a folder; their paths."""
        found = []
        answer = self.connection.call("GET", f"/labellings/{self.id}/labels.zip")
        with ZipFile(io.BytesIO(answer.content)) as archive:
            for name in archive.namelist():
                path = Path(folder, check_name(name, "the archive", PlatformError))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(name))
                found.append(path)
        return found


@dataclass(frozen=True, kw_only=True)
class Scan(Row):
    """A CT series.

    What is asked of it is of the disease that is named, by default of the patient's first.

    Args:
        id: number of it.
        scan_id: name of it.
        patient: pseudonym.
        acquired_on: day; None: unknown.
        n_slices: axial planes.
        spacing_mm: (z, y, x).
        notes: of the reader; empty without the right to bring scans in or to know who it is.
        labelling: the newest one of the disease that was asked for; None: it is not measured yet.
    """

    days = ("acquired_on",)

    id: int
    scan_id: str
    patient: str
    acquired_on: date | None
    n_slices: int
    spacing_mm: list[float]
    notes: str
    labelling: Labelling | None

    @classmethod
    def of(cls, connection: Connection, answer: Mapping[str, Any]) -> Self:
        """The object of an answer."""
        own = answer["labelling"]
        found = None if own is None else Labelling.of(connection, own)
        return super().of(connection, {**answer, "labelling": found})

    def plane(self, index: int) -> NDArray[np.int16]:
        """Hounsfield units of an axial plane, (rows, columns); index from 0 at the feet."""
        return _plane(self.connection, f"/scans/{self.id}/planes/{index}")

    def volume(self) -> NDArray[np.int16]:
        """Hounsfield units of all planes, axes (z, y, x)."""
        return np.stack([self.plane(index) for index in range(self.n_slices)])

    def affine(self) -> NDArray[np.float64]:
        """Index (z, y, x) to millimetres in LPS, (4, 4)."""
        answer = self.connection.call("GET", f"/scans/{self.id}/planes/0")
        return np.array(answer.headers["X-Affine"].split(","), np.float64).reshape(4, 4)

    def picture(
        self,
        index: int,
        window: str = "lung",
        labels: bool = True,
        lesion: int | None = None,
        disease: str | None = None,
    ) -> bytes:
        """A slice as PNG, with the outlines of lungs and lesions.

        Args:
            index: from 0 at the feet.
            window: "lung", "soft" or "bone".
            labels: whether outlines are drawn.
            lesion: whose outline is highlighted.
            disease: whose lesions; by default of the first.
        """
        query = {"window": window, "labels": labels, "lesion": lesion, "disease": disease}
        answer = self.connection.call("GET", f"/scans/{self.id}/slices/{index}.png", query)
        return bytes(answer.content)

    def labellings(self) -> list[Labelling]:
        """All its labellings, of all diseases, the newest first."""
        rows = self.connection.get(f"/scans/{self.id}/labellings")
        return [Labelling.of(self.connection, each) for each in rows]

    def severity(self, disease: str | None = None) -> Severity | None:
        """How ill the platform's model says the patient was; None where it says nothing."""
        found = self.connection.get(f"/scans/{self.id}/severity", disease=disease)
        return None if found is None else Severity.of(self.connection, found)

    def grades(self, disease: str | None = None) -> Standing:
        """Where it stands between its graders; through this a grade is given."""
        answer = self.connection.get(f"/scans/{self.id}/grades", disease=disease)
        return Standing.of(self.connection, answer)

    def draft(self, disease: str | None = None) -> Draft | None:
        """One's draft of a correction; None: there is none."""
        found = self.connection.get(f"/scans/{self.id}/draft", disease=disease)
        return None if found is None else Draft.of(self.connection, found)

    def correct(self, disease: str | None = None) -> Draft:
        """Begin a draft on the newest labelling; one that is there is enough."""
        answer = self.connection.post(f"/scans/{self.id}/draft", disease=disease)
        return Draft.of(self.connection, answer)

    def sendable(self, disease: str | None = None) -> Sendable:
        """What of it can be sent to which archives; through this it is confirmed."""
        answer = self.connection.get(f"/scans/{self.id}/sendable", disease=disease)
        return Sendable.of(self.connection, answer)


@dataclass(frozen=True, kw_only=True)
class Patient(Row):
    """A patient by pseudonym.

    Args:
        pseudonym: stands for the patient.
        centre: of it.
        study_groups: those that the owner of the token works for.
        diseases: those that he may see labellings of.
        n_scans: scans of it.
        latest: day of the latest one.
    """

    days = ("latest",)

    pseudonym: str
    centre: str
    study_groups: list[str]
    diseases: list[str]
    n_scans: int
    latest: date | None

    def scans(self, disease: str | None = None) -> list[Scan]:
        """The scans by day, with their labellings of a disease, by default of the first."""
        rows = self.connection.get(f"/patients/{self.pseudonym}/scans", disease=disease)
        return [Scan.of(self.connection, each) for each in rows]

    def trend(self, disease: str | None = None) -> list[dict[str, Any]]:
        """What changed from scan to scan, as `covidlit trend` says it."""
        found: list[dict[str, Any]] = self.connection.get(
            f"/patients/{self.pseudonym}/trend", disease=disease
        )
        return found

    def clinical(self) -> Clinical:
        """Laboratory values over time, and events."""
        answer = self.connection.get(f"/patients/{self.pseudonym}/clinical")
        return Clinical.of(self.connection, answer)

    def save_report(self, path: str | Path, disease: str | None = None) -> Path:
        """Write the patient's page, with lungs and lesions in space, which works offline."""
        address = f"/patients/{self.pseudonym}/report.html"
        return self.connection.save(address, path, disease=disease)

    def identity(self) -> dict[str, Any]:
        """Who it is: needs the right and the scope "identify"; each look is written down."""
        found: dict[str, Any] = self.connection.get(f"/patients/{self.pseudonym}/identity")
        return found

    def measure(self, disease: str | None = None) -> Job:
        """Have the scans measured by the platform's model of now."""
        answer = self.connection.post(f"/patients/{self.pseudonym}/measure", disease=disease)
        return Job.of(self.connection, answer)


@dataclass(frozen=True, kw_only=True)
class Upload(Row):
    """Files that were brought in, as it was when asked for.

    Args:
        id: number of it.
        n_files, n_bytes: that have come.
        n_taken: scans that are new.
        n_known: scans that were there before.
        most_piece: bytes that a piece may have.
        job: takes them in; None: not all have come yet.
        refused: place and reason of what was not taken.
    """

    id: int
    centre: str
    study_group: str
    n_files: int
    n_bytes: int
    n_taken: int
    n_known: int
    most_piece: int
    job: Job | None
    refused: list[dict[str, str]]

    @classmethod
    def of(cls, connection: Connection, answer: Mapping[str, Any]) -> Self:
        """The object of an answer."""
        return super().of(connection, {**answer, "job": job_in(connection, answer)})


def _plane(connection: Connection, path: str, **query: Any) -> NDArray[Any]:
    """A plane, as its headers describe it."""
    answer = connection.call("GET", path, query)
    shape = [int(each) for each in answer.headers["X-Shape"].split(",")]
    values = np.frombuffer(answer.content, np.dtype(answer.headers["X-Type"])).reshape(shape)
    return values.astype(values.dtype.newbyteorder("="))
