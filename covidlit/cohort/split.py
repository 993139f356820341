"""The split as a value: parts by row, a hash, and the table that it was made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, computed_field

from covidlit.counted import counted
from covidlit.errors import SplitError
from covidlit.files import fingerprint, write_text

if TYPE_CHECKING:
    import pandas as pd

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


class Split(BaseModel):
    """Which part each scan of a manifest belongs to.

    Args:
        kind: the function that made it.
        seed: its seed; null where nothing was drawn.
        arguments: its further arguments, plain values.
        parts: scan_id (see `unit_key`) -> `train`, `validation` or `test`.
        fold: number of the fold that is tested, from 0; null without folds.
        manifest_hash: fingerprint of the manifest's scan_ids, which of them are of one patient, and
            their targets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    kind: str
    seed: int | None = None
    arguments: dict[str, Any] = {}
    parts: dict[str, Part]
    fold: int | None = None
    manifest_hash: str

    @classmethod
    def of(cls, table: pd.DataFrame, **values: Any) -> Self:
        """Make a split of `table`, the rows of a manifest that it covers."""
        return cls(manifest_hash=_hash_rows(table), **values)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def hash(self) -> str:
        """SHA-256 over everything else: kept in each checkpoint, compared at each start."""
        return fingerprint(self.model_dump(mode="json", exclude={"hash"}))

    def scans(self, part: Part) -> list[str]:
        """The scan_ids of one part, sorted."""
        if part not in PARTS:
            raise SplitError(
                f"there is no part {part!r}.", where="part", fix=f"choose of {', '.join(PARTS)}."
            )
        return sorted(scan for scan, own in self.parts.items() if own == part)

    def save(self, path: str | Path) -> Path:
        """Write the split as JSON, with its hash."""
        return write_text(path, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a split and check that nobody changed it.

        Raises:
            SplitError: missing, not a split, or its hash does not match its content.
        """
        path = Path(path)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            stated = content.pop("hash", None) if isinstance(content, dict) else None
            split = cls.model_validate(content)
        except OSError as problem:
            raise SplitError(
                f"the split cannot be read: {problem.strerror}.", where=path, fix="check the path."
            ) from problem
        except ValidationError as problem:
            first = problem.errors()[0]
            raise SplitError(
                f"{'.'.join(map(str, first['loc']))}: value {first.get('input')!r}: "
                f"{first['msg']} ({counted(problem.error_count(), 'error')}).",
                where=path,
                fix="this is not a split as covidlit writes it; make it again.",
            ) from problem
        except ValueError as problem:
            raise SplitError(
                f"this is not JSON: {problem}.", where=path, fix="make the split again."
            ) from problem
        if stated != split.hash:
            raise SplitError(
                f"the hash {str(stated)[:12]!r} does not match the content "
                f"({split.hash[:12]!r}): the file was edited after it was made.",
                where=path,
                fix="make the split again; for parts of your own use a column and from_column.",
            )
        return split

    def check_fits(self, manifest: pd.DataFrame) -> None:
        """Refuse a manifest other than the one that the split was made from.

        Rows without a target are ignored, the order of the rows does not matter.

        Raises:
            SplitError: scans are missing, new, or have another patient or target.
        """
        table = manifest[manifest["target"].notna()] if "target" in manifest else manifest
        if _hash_rows(table) == self.manifest_hash:
            return
        have, want = set(table[unit_key(table)]), set(self.parts)
        unit = unit_key(table).removesuffix("_id")
        differences = [
            f"{counted(len(ids), unit)} {text}, such as {min(ids)}"
            for ids, text in (
                (want - have, "of the split without a row in the manifest (or a target there)"),
                (have - want, "of the manifest missing in the split"),
            )
            if ids
        ] or [f"the {unit}s are the same, but the patient or the target of some has changed"]
        raise SplitError(
            f"the split was made from another manifest: {'; '.join(differences)}.",
            where=f"split {self.hash[:12]}",
            fix="use the manifest of that split, or make the split again.",
        )


def unit_key(table: pd.DataFrame) -> str:
    """The column by which a split names the rows: their slice where a row is one, else their scan,
    or in a table without scans, where a row is a patient, the patient.
    """
    return next((name for name in ("slice_id", "scan_id") if name in table), "patient_id")


def patient_keys(table: pd.DataFrame) -> pd.Series:
    """For each row the smallest scan_id (see `unit_key`) of its patient.

    Groups rows as `patient_id` does. The scan_ids of DICOM series do not depend on the secret key
    that the pseudonyms were made with: the same series give the same split on every machine.
    """
    return table[unit_key(table)].groupby(table["patient_id"]).transform("min")


def _hash_rows(table: pd.DataFrame) -> str:
    import pandas as pd

    targets = table["target"] if "target" in table else pd.Series(pd.NA, index=table.index)
    rows = [
        [str(scan), str(patient), None if pd.isna(target) else _plain(target)]
        for scan, patient, target in zip(
            table[unit_key(table)], patient_keys(table), targets, strict=True
        )
    ]
    return fingerprint(sorted(rows, key=lambda row: str(row[0])))


def _plain(target: object) -> int | float:
    """A class as a whole number; what is no class as it is."""
    number = float(target)  # type: ignore[arg-type]
    return int(number) if number.is_integer() else number
