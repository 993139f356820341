"""What a checkpoint says about the run that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from covidlit.cohort.class_names import in_target_order

Positive = Annotated[float, Field(gt=0)]
Size = Annotated[int, Field(ge=1)]


class GeometryRecord(BaseModel):
    """Spacing in mm and size in voxels of the network's input, (z, y, x)."""

    model_config = ConfigDict(extra="forbid")

    spacing: tuple[Positive, Positive, Positive]
    size: tuple[Size, Size, Size]


class PreprocessRecord(BaseModel):
    """How a scan becomes the network's input.

    Args:
        geometry: of the input.
        window: lowest and highest HU, mapped to 0 and 1.
        min_slices: DICOM series with fewer slices are refused.
        override_checks: names of the DICOM checks that the run switched off.
    """

    model_config = ConfigDict(extra="forbid")

    geometry: GeometryRecord
    window: tuple[float, float]
    min_slices: int = Field(default=12, ge=1)
    override_checks: list[str] = []

    @model_validator(mode="after")
    def _window_is_not_empty(self) -> PreprocessRecord:
        if not self.window[0] < self.window[1]:
            raise ValueError(f"the window {self.window} is empty")
        return self


class RunRecord(BaseModel):
    """The record that a checkpoint carries under "covidlit", beside versions and generator states.

    Args:
        config: the resolved configuration, plain types.
        split_hash: of the split that it was trained on.
        preprocess: how a scan becomes the network's input.
        model: name of the model.
        classes: names of the classes in the order of the targets, where the label rule gives each
            a target of its own; of two the class of interest is the last. Else empty.
        operating_point: the score from which a scan counts as positive, chosen on validation data;
            None where it is not known.
        synthetic: whether scans that it was trained or selected on are synthetic.
        heat_scales: upper end of the absolute scale of heatmaps by "<method>:<layer>", see
            `covidlit.explain.scale`.
    """

    model_config = ConfigDict(extra="forbid")

    config: dict[str, Any]
    split_hash: str
    preprocess: PreprocessRecord
    model: str = ""
    classes: list[str] = []
    operating_point: float | None = None
    synthetic: bool = False
    heat_scales: dict[str, Positive] = {}

    @field_validator("config")
    @classmethod
    def _trainer_is_a_mapping(cls, config: dict[str, Any]) -> dict[str, Any]:
        trainer = config.get("trainer", {})
        if not isinstance(trainer, Mapping):
            raise ValueError(f"trainer must be a mapping, got {trainer!r}")
        return config

    @field_validator("classes")
    @classmethod
    def _score_is_of_the_class_of_interest(cls, classes: list[str]) -> list[str]:
        if list(in_target_order(classes)) != classes:
            raise ValueError(
                f"the score of this model is the probability of {classes[1]}, not of {classes[0]}, "
                "as an earlier covidlit trained it: train it again"
            )
        return classes


def run_record(
    config: Mapping[str, Any], split_hash: str, *, synthetic: bool = False
) -> dict[str, Any]:
    """The record of a run, as plain types, from its resolved configuration (`conf/train.yaml`)."""
    data = config["data"]
    record = RunRecord(
        config=dict(config),
        split_hash=split_hash,
        preprocess=PreprocessRecord(
            geometry=data["geometry"],
            window=data["window"],
            min_slices=data.get("min_slices", 12),
            override_checks=data.get("override_checks") or [],
        ),
        model=str(config["model"].get("name", "")),
        classes=list(in_target_order((config.get("label_rule") or {}).get("classes") or [])),
        synthetic=synthetic,
    )
    return record.model_dump(mode="json")
