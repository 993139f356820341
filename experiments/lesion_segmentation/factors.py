"""(d): the factors of synthetic test patients, from predicted labels and from true ones.

And (e): how much of lungs without a lesion is called one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import studies
import torch
from trainings import FINISHED, SHARED, checkpoint

from covidlit.cohort.scan_reader import ScanReader
from covidlit.cohort.scan_sources import ScanSource, find_scans
from covidlit.datamodules.slices.channels import slice_images
from covidlit.dicom import Checks
from covidlit.lesions import (
    LESION_CLASSES,
    LesionLabels,
    SliceInstances,
    match_slices,
    number_lesions,
    quantify_labels,
    read_labels,
)
from covidlit.models.maskrcnn.slices import predict_slices
from covidlit.quantify.network import NetworkLabeller
from covidlit.tasks.load import load_task

SOURCES = ("true", "quantify", "instances", "semantic")
"""Labels that factors are measured on: the truth; those of `covidlit quantify`, the semantic
branch's map, in which objects say what small pieces count; and what these two are by themselves:
objects matched over slices, and the map with all its connected components as lesions."""

NETWORK = "synthetic_even"
"""The training of (a) that knows all classes on its validation part."""

HEALTHY = "ct/lidc_0314_nonCOVID_2mm.nii.gz"
"""A real chest CT without COVID-19, of the shared data."""


def measure() -> pd.DataFrame:
    """Factors and label volumes of the test patients; one row per scan and source of labels."""
    path = FINISHED / "factors" / "factors.csv"
    if path.is_file():
        return pd.read_csv(path)
    data = studies.synthetic(NETWORK)
    data.setup()
    labeller = NetworkLabeller(checkpoint(NETWORK))
    task = load_task(checkpoint(NETWORK))
    truth = Path(data.slices_path).parents[2] / "truth"
    scans = data.table[data.table["part"] == "test"].drop_duplicates("scan_id")
    rows: list[dict[str, Any]] = []
    for row in scans.to_dict("records"):
        scan = ScanReader(row["path"], row.get("series_uid"), data.given_checks)()
        labels = {"true": read_labels(truth, row["scan_id"], scan)}
        source = ScanSource(row["scan_id"], row["path"])
        labels["quantify"] = labeller.label(source, row["scan_id"], scan)
        labels |= predicted(task, scan, data.input_record())
        for name in SOURCES:
            own = labels[name]
            found = quantify_labels(
                scan, own, patient_id=row["patient_id"], scan_id=row["scan_id"]
            ).scan
            rows.append({"source": name, **found, **overlap(own, labels["true"])})
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows)
    table.to_csv(path, index=False, float_format="%.6g")
    return table


def healthy() -> pd.DataFrame:
    """Percent of the lung that `covidlit quantify` calls lesion, where there is none.

    The synthetic test patients without a lesion, and a real chest CT where the shared data are.
    """
    path = FINISHED / "factors" / "healthy.csv"
    if path.is_file():
        return pd.read_csv(path)
    table = measure().set_index("scan_id")
    none = table[(table["source"] == "true") & (table["n_lesions"] == 0)].index
    own = table[(table["source"] == "quantify") & table.index.isin(none)]
    columns = ["lung_volume_ml", "n_lesions", "proportion_percent"]
    found = own[columns].assign(lungs="synthetic test patients without a lesion")
    image = SHARED / "data" / HEALTHY
    if image.is_file():
        (source,) = find_scans(image, Checks())
        assert source.read is not None, source.reason
        scan = source.read()
        labels = NetworkLabeller(checkpoint(NETWORK)).label(source, "real", scan)
        row = quantify_labels(scan, labels, patient_id="real", scan_id="real").scan
        real = pd.DataFrame([{**{name: row[name] for name in columns}, "lungs": "real, LIDC 0314"}])
        found = pd.concat([found, real])
    found.to_csv(path, index=False, float_format="%.6g")
    return found


def predicted(task: Any, scan: Any, record: dict[str, Any]) -> dict[str, LesionLabels]:
    """The labels that the network gives a scan, by how they come of what it found in slices."""
    torch.set_num_threads(2)
    found = list(predict_slices(task.net, slice_images(scan, record), task.classes))
    instances = [SliceInstances(each.masks, each.labels, each.scores) for each in found]
    classes, numbers = match_slices(instances, scan.spacing)
    semantic = np.stack([each.semantic for each in found])
    return {
        "instances": LesionLabels(classes, numbers, scan.affine),
        "semantic": LesionLabels(semantic, number_lesions(semantic), scan.affine),
    }


def overlap(labels: LesionLabels, truth: LesionLabels) -> dict[str, float]:
    """Voxels of lesions and of the lung field, for the Dice of the volume."""
    effusion = next(v for v, name in LESION_CLASSES.items() if name == "pleural_effusion")
    own: dict[str, float] = {}
    for name in ("lesion", "lung"):
        one, other = (
            each.classes > 1 if name == "lesion" else (each.classes > 0) & (each.classes < effusion)
            for each in (labels, truth)
        )
        own[f"{name}_common"] = int((one & other).sum())
        own[f"{name}_predicted"], own[f"{name}_true"] = int(one.sum()), int(other.sum())
    return own
