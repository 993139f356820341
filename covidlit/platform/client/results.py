"""What goes out of a platform: results to archives, and training sets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from covidlit.platform.client.connection import Connection
from covidlit.platform.client.jobs import Job, job_in
from covidlit.platform.client.row import Row


@dataclass(frozen=True, kw_only=True)
class Sending(Row):
    """Objects of a labelling that a person has confirmed, as it was when asked for.

    Args:
        id: number of it.
        scan, labelling: numbers of whose they are.
        patient: pseudonym.
        version: of the labelling.
        archive, address: where to.
        confirmed_by: account.
        confirmed_at: when.
        objects: `name`, `kind`, `sop_instance_uid`, `sha256`, `n_bytes`, `state` ("waiting",
            "sent" or "failed"), `said` (why it failed, or what the archive remarked), `tried_at`.
        job: sends them.
    """

    times = ("confirmed_at",)

    id: int
    scan: int
    patient: str
    labelling: int
    version: int
    archive: str
    address: str
    confirmed_by: str
    confirmed_at: datetime
    objects: list[dict[str, Any]]
    job: Job | None

    @classmethod
    def of(cls, connection: Connection, answer: Mapping[str, Any]) -> Self:
        """The object of an answer."""
        return super().of(connection, {**answer, "job": job_in(connection, answer)})

    def now(self) -> Sending:
        """It as it is now."""
        return Sending.of(self.connection, self.connection.get(f"/sendings/{self.id}"))

    def again(self) -> Sending:
        """Have what was not sent tried again, once its job is over."""
        return Sending.of(self.connection, self.connection.post(f"/sendings/{self.id}/again"))


@dataclass(frozen=True, kw_only=True)
class Sendable(Row):
    """What of a scan can be sent, as it was when asked for: this is what one confirms.

    Args:
        scan: number of it.
        patient: pseudonym.
        labelling: number of the newest one; None: it is not measured yet.
        version: of it.
        objects: DICOM objects: `name`, `kind`, `sop_instance_uid`, `sha256`, `n_bytes`.
        archives: `name` and `address`.
    """

    scan: int
    patient: str
    labelling: int | None
    version: int | None
    objects: list[dict[str, Any]]
    archives: list[dict[str, str]]

    def send(self, archive: str, names: Collection[str] | None = None) -> Sending:
        """Confirm that objects are sent, as they are listed here.

        Args:
            archive: name of it.
            names: of the objects; None: all.

        Raises:
            PlatformError: there is a newer labelling, or another object (status 409).
        """
        chosen = [
            {"sop_instance_uid": each["sop_instance_uid"], "sha256": each["sha256"]}
            for each in self.objects
            if names is None or each["name"] in names
        ]
        body = {"labelling": self.labelling, "archive": archive, "objects": chosen}
        answer = self.connection.post(f"/scans/{self.scan}/sendings", body, again=False)
        return Sending.of(self.connection, answer)


@dataclass(frozen=True, kw_only=True)
class Export(Row):
    """A training set of corrected scans, as it was when asked for.

    Args:
        id: number of it.
        centre, study_group: whose scans.
        n_scans: in it.
        n_bytes: of its file.
        is_ready: its file can be saved.
        until: when its file is removed; None: it is not made yet.
        job: makes it.
    """

    times = ("until",)

    id: int
    centre: str
    study_group: str
    n_scans: int
    n_bytes: int
    is_ready: bool
    until: datetime | None
    job: Job | None

    @classmethod
    def of(cls, connection: Connection, answer: Mapping[str, Any]) -> Self:
        """The object of an answer."""
        return super().of(connection, {**answer, "job": job_in(connection, answer)})

    def now(self) -> Export:
        """It as it is now."""
        return Export.of(self.connection, self.connection.get(f"/exports/{self.id}"))

    def wait(self, longest: float | None = None) -> Export:
        """Wait until its file is made; see `Job.wait`."""
        if self.job is not None:
            self.job.wait(longest)
        return self.now()

    def save(self, path: str | Path) -> Path:
        """Write its archive (ZIP) to a file; it is audited as a download."""
        return self.connection.save(f"/exports/{self.id}/training-set.zip", path)
