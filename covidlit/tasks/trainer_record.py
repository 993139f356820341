"""What a checkpoint keeps of a training that the user's own Trainer ran, without `covidlit train`.

A network that is trained on a datamodule of covidlit can then be given to `covidlit predict` as it
is: how its input was prepared stands in its checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from covidlit.datamodules.cohort_data import rows_hash

if TYPE_CHECKING:
    import pytorch_lightning as pl


def record_of_trainer(trainer: pl.Trainer | None) -> dict[str, Any]:
    """The fields of `covidlit.checkpoints.RunRecord` that a trainer and its datamodule tell.

    Args:
        trainer: of the task; None where there is none.

    Returns:
        Plain types; without `classes` and `operating_point`, which neither knows. Empty where the
        data are no `CohortData`, such as the user's own loaders.
    """
    data: Any = getattr(trainer, "datamodule", None)
    if trainer is None or not callable(getattr(data, "input_record", None)):
        return {}
    table = data.table
    trained = table["part"].isin(["train", "validation"])
    return {
        "config": {"trainer": {"precision": str(trainer.precision)}},
        "split_hash": data.split.hash,
        "preprocess": data.input_record(),
        "synthetic": bool("synthetic" in table and table.loc[trained, "synthetic"].eq(True).any()),
        "rows": rows_hash(data),
    }
