"""What a checkpoint's record lacks, given by whoever uses it.

A network that the user's own Trainer trained on the user's own loaders says nothing of how its
input was prepared. It cannot be guessed: the same scan in another window gets another score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic

from covidlit.checkpoints.record import PreprocessRecord, RunRecord, validated_record
from covidlit.errors import CheckpointError, ConfigError
from covidlit.preprocess.geometry import Geometry

_PREPARATION = ("geometry", "window", "min_slices", "override_checks", "image_orientation")
_NEEDED = {
    "geometry": 'geometry={"spacing": [5.0, 1.5, 1.5], "size": [64, 256, 256]} (mm and voxels, '
    "z y x)",
    "window": "window=(-1000, 400) (HU that became 0 and 1)",
}


@dataclass(frozen=True)
class Given:
    """Fields of a record, each None where it is left to the checkpoint.

    Args:
        geometry: spacing in mm and size in voxels of the network's input, (z, y, x).
        window: lowest and highest HU, mapped to 0 and 1.
        min_slices: DICOM series with fewer slices are refused.
        override_checks: names of the DICOM checks that are switched off.
        operating_point: the score from which a scan counts as positive, in [0, 1]; takes the place
            of the checkpoint's.
        classes: names of the classes in the order of the targets.
        image_orientation: what the axes of image files run to whose header does not say it.

    Raises:
        ConfigError: a value that none of these can have.
    """

    geometry: Geometry | Mapping[str, Any] | None = None
    window: Sequence[float] | None = None
    min_slices: int | None = None
    override_checks: Sequence[str] | None = None
    operating_point: float | None = None
    classes: Sequence[str] | None = None
    image_orientation: str | None = None

    def __post_init__(self) -> None:
        if self.geometry is not None and not isinstance(self.geometry, Geometry):
            if not isinstance(self.geometry, Mapping) or {*self.geometry} != {"spacing", "size"}:
                raise ConfigError(
                    f"geometry needs spacing and size, got {self.geometry!r}.",
                    where="geometry",
                    fix=f"give for example {_NEEDED['geometry']}.",
                )
            object.__setattr__(self, "geometry", Geometry(**self.geometry))
        if self.operating_point is not None and not 0 <= self.operating_point <= 1:
            raise ConfigError(
                f"a score lies in [0, 1], got {self.operating_point}.", where="operating_point"
            )

    @property
    def names(self) -> list[str]:
        """The fields that were given."""
        return [name for name, value in self._fields().items() if value is not None]

    def __bool__(self) -> bool:
        return bool(self.names)

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def preparation(self) -> dict[str, Any]:
        """The given ones of `PreprocessRecord`, in its types."""
        fields = {name: self._fields()[name] for name in _PREPARATION}
        if isinstance(self.geometry, Geometry):
            fields["geometry"] = self.geometry.arguments()
        return {name: value for name, value in fields.items() if value is not None}


def complete_record(record: Mapping[str, Any], given: Given | None, where: object) -> RunRecord:
    """The record of a checkpoint with what it lacks.

    Args:
        record: as the checkpoint holds it.
        given: what the user gives beside it; None: nothing, it has to be complete by itself.
        where: the checkpoint.

    Raises:
        CheckpointError: something is missing in both; names it and the argument that gives it.
        ConfigError: something was given that the checkpoint knows otherwise.
    """
    if given is None:
        return validated_record(record, where)
    known = {"config": {}, "split_hash": "", **record}
    wanted = {**given.preparation(), **dict(known.get("preprocess") or {})}
    if missing := [text for name, text in _NEEDED.items() if name not in wanted]:
        raise CheckpointError(
            "its record does not say how the network's input was prepared.",
            where=where,
            fix=f"give {' and '.join(missing)}, as they were in its training.",
        )
    known["preprocess"] = wanted
    _refuse_other(_preparation(wanted, where), given, where)
    if given.classes is not None:
        if known.get("classes") and list(known["classes"]) != list(given.classes):
            raise _differs("classes", known["classes"], list(given.classes), where)
        known["classes"] = list(given.classes)
    if given.operating_point is not None:
        known["operating_point"] = float(given.operating_point)
    return validated_record(known, where)


def _preparation(wanted: Mapping[str, Any], where: object) -> PreprocessRecord:
    try:
        return PreprocessRecord.model_validate(wanted)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "preprocess"
        raise ConfigError(f"{name}: {first['msg']}.", where=where) from error


def _refuse_other(known: PreprocessRecord, given: Given, where: object) -> None:
    """Refuse another preparation than the checkpoint's: its scores would mean nothing."""
    asked = _preparation({**known.model_dump(), **given.preparation()}, where).model_dump()
    for name, value in known.model_dump().items():
        if asked[name] != value:
            raise _differs(name, value, asked[name], where)


def _differs(name: str, known: Any, asked: Any, where: object) -> ConfigError:
    return ConfigError(
        f"{name} was {known} in the network's training, and {asked} was given.",
        where=where,
        fix=f"leave {name} out: a scan that is prepared in another way gets another score.",
    )
