"""What a checkpoint says about the run that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from covidlit.cohort.class_names import in_target_order
from covidlit.errors import CheckpointError

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
        override_checks: names of the checks that the run switched off.
        image_orientation: what the axes of image files run to whose header does not say it.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["volume"] = "volume"
    geometry: GeometryRecord
    window: tuple[float, float]
    min_slices: int = Field(default=12, ge=1)
    override_checks: list[str] = []
    image_orientation: str | None = None

    @model_validator(mode="after")
    def _window_is_not_empty(self) -> PreprocessRecord:
        if not self.window[0] < self.window[1]:
            raise ValueError(f"the window {self.window} is empty")
        return self


class OtherInput(BaseModel):
    """How another kind of input than a volume is prepared.

    Args:
        kind: of the input, such as "table"; what else there is, its datamodule knows.
    """

    model_config = ConfigDict(extra="allow")

    kind: str

    @field_validator("kind")
    @classmethod
    def _is_another(cls, kind: str) -> str:
        if kind == "volume":
            raise ValueError("a volume needs geometry and window")
        return kind


class RunRecord(BaseModel):
    """The record that a checkpoint carries under "covidlit", beside versions and generator states.

    Args:
        config: the resolved configuration, plain types.
        split_hash: of the split that it was trained on.
        preprocess: how new input is prepared; see `volume_input`.
        model: name of the model.
        classes: names of the classes in the order of the targets, where the label rule gives each
            a target of its own; of two the class of interest is the last. Else empty.
        operating_point: the score from which a scan counts as positive, chosen on validation data;
            None where it is not known.
        synthetic: whether scans that it was trained or selected on are synthetic.
        heat_scales: upper end of the absolute scale of heatmaps by "<method>:<layer>", see
            `covidlit.explain.scale`.
        rows: `covidlit.datamodules.cohort_data.rows_hash`; empty in records of before it was kept.
    """

    model_config = ConfigDict(extra="forbid")

    config: dict[str, Any]
    split_hash: str
    preprocess: PreprocessRecord | OtherInput
    model: str = ""
    classes: list[str] = []
    operating_point: float | None = None
    synthetic: bool = False
    heat_scales: dict[str, Positive] = {}
    rows: str = ""

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

    @property
    def volume_input(self) -> PreprocessRecord:
        """How a scan becomes the input of the network or the classifier.

        Raises:
            CheckpointError: the model takes something else than scans.
        """
        if isinstance(self.preprocess, PreprocessRecord):
            return self.preprocess
        raise CheckpointError(
            f"the model takes no scan, but input of the kind {self.preprocess.kind!r}.",
            where=self.model or "the checkpoint",
            fix="give a model of CT volumes.",
        )


def validated_record(record: object, where: object) -> RunRecord:
    """A record as a checkpoint holds it, held against its schema.

    Raises:
        CheckpointError: it is missing or incomplete.
    """
    try:
        return RunRecord.model_validate(record)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise CheckpointError(
            f"its record of the run is incomplete ({wrong}).",
            where=where,
            fix="use a checkpoint of a whole run (`covidlit train`), or give what is missing to "
            "covidlit.Predictor in Python.",
        ) from error


def run_record(
    config: Mapping[str, Any],
    split_hash: str,
    input_record: Mapping[str, Any],
    *,
    synthetic: bool = False,
    rows: str = "",
) -> dict[str, Any]:
    """The record of a run, as plain types.

    Args:
        config: the resolved configuration (`conf/train.yaml`).
        split_hash: of the split.
        input_record: of `CohortData.input_record`.
        synthetic: whether rows that it was trained or selected on are synthetic.
        rows: hash of what each row was prepared from.
    """
    record = RunRecord(
        config=dict(config),
        split_hash=split_hash,
        preprocess=input_record,  # type: ignore[arg-type]  # validated by its kind
        model=str(config["model"].get("name", "")),
        classes=list(in_target_order((config.get("label_rule") or {}).get("classes") or [])),
        synthetic=synthetic,
        rows=rows,
    )
    return record.model_dump(mode="json")
