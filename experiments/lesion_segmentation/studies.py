"""What each part of the study trains on, and with which settings."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from omegaconf import OmegaConf
from unet import PixelSegmentation

from covidlit.cohort.split import Part, Split
from covidlit.cohort.splits import patient_k_fold
from covidlit.datamodules.slices import SliceDataModule
from covidlit.datamodules.slices.mask_images import mask_images
from covidlit.datamodules.slices.synthetic import synthetic_slices
from covidlit.tasks import LesionSegmentation

ROOT = Path(__file__).parents[2]
DATA = ROOT / "data" / "lesion_segmentation"
COHORT = {"preset": "lesions", "matrix": 128, "thickness_mm": 8.0}
AUGMENTATION = {"flip_axes": ["LR"], "degrees": 15, "scales": [0.85, 1.2]}

NET = {
    **OmegaConf.to_container(OmegaConf.load(ROOT / "conf/model/maskrcnn.yaml").task.net),
    **OmegaConf.to_container(OmegaConf.load(ROOT / "conf/model/maskrcnn_small.yaml").task.net),
    "norm": "frozen",
}
"""`model=maskrcnn_small`, with the statistics of the weights that it starts from."""

SOURCE = "runs/experiments/lesion_segmentation/synthetic/last.ckpt"
"""The checkpoint of (a)."""

OPTIMIZER: dict[str, Any] = {"_target_": "torch.optim.AdamW", "lr": 1e-3, "weight_decay": 1e-4}
UNET = {"channels": [16, 32, 64, 128, 256], "lr": 1e-3, "weight_decay": 1e-4}
START_OF_REAL = "synthetic"
VARIANTS: dict[str, dict[str, Any]] = {
    "unet-narrow": UNET,
    "unet-wide": {**UNET, "channels": [32, 64, 128, 256, 512]},
    "unet-fast": {**UNET, "lr": 3e-3},
    "maskrcnn-imagenet": {"start": "imagenet"},
    "maskrcnn-synthetic": {"start": "synthetic"},
    "maskrcnn-slow": {"start": "synthetic", "lr": 4e-4},
}
"""What was tried for the real slices, on the validation case of the first fold."""


def slices(path: Path, split: Any, **arguments: Any) -> SliceDataModule:
    """The data of a part; batches of 4 slices, augmented alike."""
    return SliceDataModule(
        path, DATA / "cache", split, augmentation=AUGMENTATION, batch_size=4, n_jobs=1, **arguments
    )


DRAWN = {
    "synthetic": {"n_scans": 60, "balanced": "class"},
    "synthetic_even": {"n_scans": 120, "balanced": "lesion_class"},
}
"""(a): patients, and which slices are drawn equally often."""


def synthetic(name: str = "synthetic") -> SliceDataModule:
    """(a): all slices of a cohort; a third of the patients for testing."""
    drawn = DRAWN[name]
    patients = {"n_scans": drawn["n_scans"], "seed": 0, **COHORT}
    path = synthetic_slices(str(DATA / "synthetic"), n_jobs=2, **patients)
    split = partial(patient_k_fold, n_folds=3, fold=0, validation_fraction=0.1)
    return slices(path, split, balanced=drawn["balanced"])


def paper() -> SliceDataModule:
    """(b): 100 slices with lesions of 10 patients of another cohort; two patients are tested."""
    path = synthetic_slices(str(DATA / "synthetic"), n_jobs=2, n_scans=24, seed=50, **COHORT)
    return slices(path, hundred_slices)


def hundred_slices(table: pd.DataFrame) -> Split:
    """Ten slices, spread evenly, of each of the first ten patients with as many with lesions.

    The first eight are trained on, as the paper's 80 and 20 slices; it does not say how it chose.
    """
    lesion = table["n_lesions"] > 0
    counts = table[lesion].groupby("patient_id").size()
    patients = sorted(counts.index[counts >= 10])[:10]
    if len(patients) < 10:
        sys.exit(f"only {len(patients)} patients have ten slices with lesions: enlarge the cohort.")
    parts: dict[str, Part] = {}
    for number, patient in enumerate(patients):
        own = table[lesion & (table["patient_id"] == patient)].sort_values("slice_index")
        for index in np.linspace(0, len(own) - 1, 10).round().astype(int):
            parts[str(own["slice_id"].iloc[index])] = "train" if number < 8 else "test"
    chosen = table[table["slice_id"].isin(parts.keys())]
    return Split.of(chosen, kind="hundred_slices", parts=parts)


def real(fold: int, shared: Path) -> SliceDataModule:
    """(c): the real slices; three folds by case, one training case of each for validation."""
    root = shared / "data" / "lesion_slices"
    if not root.is_dir():
        sys.exit(f"the real slices are not in {root}: set COVIDLIT_SHARED to the folder of data/.")
    path = mask_images(
        str(root),
        {"lung": "lung", "lesion": "lesion"},
        images="ct",
        patient_column="case",
        folder=str(DATA / "real"),
    )
    split = partial(patient_k_fold, n_folds=3, fold=fold, validation_fraction=0.1)
    return slices(path, split)


def data_of(name: str, shared: Path) -> SliceDataModule:
    """The data of a training: one of `DRAWN`, "paper_<start>", "real_<network>_<fold>" or
    "tune_<variant>", which is the first fold of the real slices."""
    part = name.split("_")[0]
    if part in ("real", "tune"):
        return real(int(name[-1]) if part == "real" else 0, shared)
    return synthetic(name) if part == "synthetic" else paper()


def settings_of(name: str) -> dict[str, Any]:
    """Settings of the network of a training, but for what its data decide.

    A Mask R-CNN starts from no weights, from those of ImageNet in the backbone, or from all of (a).
    """
    part, _, rest = name.partition("_")
    variant = VARIANTS[rest] if part == "tune" else {}
    if "unet" in name:
        return {"unet": {**UNET, **variant}}
    chosen = {"synthetic": "imagenet", "real": START_OF_REAL}.get(part, rest)
    start = {
        "scratch": {"pretrained": None, "norm": "group"},
        "imagenet": {"pretrained": "imagenet"},
        "synthetic": {"pretrained": SOURCE},
    }[variant.get("start", chosen)]
    lr = variant.get("lr", OPTIMIZER["lr"])
    return {"net": {**NET, **start}, "optimizer": {**OPTIMIZER, "lr": lr}}


def module_of(name: str, data: SliceDataModule) -> pl.LightningModule:
    """The network of a training, untrained but for the weights that it starts from."""
    settings = settings_of(name)
    if "unet" in settings:
        return PixelSegmentation(data.classes, **settings["unet"])
    if settings["net"]["pretrained"] == SOURCE:
        if not (ROOT / SOURCE).is_file():
            sys.exit(f"{SOURCE} is not here: delete finished/synthetic to train it again.")
        settings["net"]["pretrained"] = str(ROOT / SOURCE)
    return LesionSegmentation(**LesionSegmentation.fitted_to(settings, data))
