"""Which pictures the study shows, and of what."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import studies
from agreement import mean_dice
from figures import agreement_plot, dice_by_case, examples, learning_curves
from measure import ANY
from metrics import counts_of, is_there
from report import AGREE
from trainings import FINISHED, HERE, NAMES, RUNS, SHARED, kept


def draw() -> None:
    """All pictures of the parts that are finished.

    Pictures of real slices go to `runs/`, which is not published.
    """
    done = [name for name in [*NAMES["synthetic"], *NAMES["real"]] if is_there(name)]
    curves = {name: kept(name)["curve"] for name in done if kept(name)["curve"]}
    if curves:
        learning_curves(curves, HERE / "learning_curves.png")
    if is_there("synthetic_even"):
        slices("synthetic_even", HERE / "synthetic_slices.png", 6)
    for name in NAMES["real"]:
        if is_there(name):
            slices(name, RUNS / f"{name}.png", 6)
    if is_there("real_maskrcnn") and is_there("real_unet"):
        dice_by_case(
            {
                label: mean_dice(counts_of(f"real_{net}"), ANY)["by_patient"]
                for net, label in (("maskrcnn", "Mask R-CNN"), ("unet", "U-Net"))
            },
            HERE / "real_cases.png",
        )
    path = FINISHED / "factors" / "factors.csv"
    if path.is_file():
        agreement_plot(pd.read_csv(path), AGREE, HERE / "bland_altman.png")


def slices(name: str, path: Path, count: int) -> None:
    """Test slices with lesions of a training, one per patient: from the best Dice to the worst."""
    tables = RUNS / name / "tables.parquet"
    if not tables.is_file():
        return
    found = pd.read_parquet(tables)
    found = found[found["kind"] == "slice"].set_index("slice_id")
    table = counts_of(name)
    table["dice"] = 2 * table[f"{ANY}_common"] / (
        table[f"{ANY}_predicted"] + table[f"{ANY}_true"]
    )  # fmt: skip
    large = table[table[f"{ANY}_true"] >= 50].sort_values(["dice", "slice_id"], ascending=False)
    per_patient = -(-count // large["patient_id"].nunique())
    own = large.groupby("patient_id").apply(
        lambda rows: rows.iloc[[len(rows) * k // per_patient for k in range(per_patient)]],
        include_groups=False,
    )
    own = own.sort_values("dice", ascending=False)
    step = max(1, len(own) // count)
    chosen = own["slice_id"].iloc[::step].iloc[:count].to_list()
    data = studies.data_of(name, SHARED)
    data.setup()
    dataset = data.dataset_of("test")
    place = {str(slice_id): k for k, slice_id in enumerate(dataset.slice_ids)}
    images = [dataset[place[each]]["image"][0].numpy() for each in chosen]
    rows = [found.loc[each].to_dict() for each in chosen]
    examples(images, rows, data.classes, path)
