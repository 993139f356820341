"""One epoch of the data path (cache and augmentation, no network) against MONAI and TorchIO.

    python benchmarks/data_path.py

Writes benchmarks/results/data_path.json. Volumes of 64 x 256 x 256, two loader processes with one
thread each, persistent, warm page cache. All three flip, rotate in the axial plane and scale with
linear interpolation and deliver float32 in [0, 1]:

* covidlit: int16 cache, `covidlit.transforms.Augmentation`, window;
* MONAI: `PersistentDataset` of the same prepared volumes, windowed before caching, `RandFlipd` and
  `RandAffined` with a cached grid;
* TorchIO: `SubjectsDataset` on the DICOM folders, `Resample` and `CropOrPad` to the same geometry,
  `RandomFlip` and `RandomAffine`, window.

The DICOM series are synthetic, 512 x 512: 160 slices of 2 mm (the paper's scans had 93 to 564), and
64 slices of 5 mm, the least that TorchIO can have to read for this field of view.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import monai
import numpy as np
import pandas as pd
import SimpleITK
import torch
import torchio as tio
from dicom_series import write_series
from monai.transforms import Compose, EnsureTyped, Lambdad, RandAffined, RandFlipd
from record import write_results
from rich.progress import track
from torch.utils.data import DataLoader

from covidlit.datamodules import VolumeDataset, apply_window
from covidlit.datamodules.sampling import EpochLoader, EpochSampler
from covidlit.preprocess import Geometry, VolumeCache, prepare_cohort
from covidlit.transforms import Augmentation

GEOMETRY = Geometry()
WINDOW = (-1000.0, 400.0)
WORKERS = 2
BATCH = 2
PEERS = {
    "MONAI": "MONAI PersistentDataset",
    "TorchIO, 2 mm": "TorchIO SubjectsDataset on DICOM folders of 160 slices",
    "TorchIO, 5 mm": "TorchIO SubjectsDataset on DICOM folders of 64 slices",
}


def one_thread(worker: int) -> None:
    """PyTorch does this for itself; a thread per core in each process would only slow ITK."""
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


OPTIONS = {
    "batch_size": BATCH,
    "num_workers": WORKERS,
    "persistent_workers": True,
    "worker_init_fn": one_thread,
}


def covidlit_loader(cache: Path, keys: list[str], n: int) -> Iterable[dict[str, torch.Tensor]]:
    """Our data path over n examples."""
    some = [keys[i % len(keys)] for i in range(n)]
    dataset = VolumeDataset(
        cache,
        GEOMETRY.size,
        [f"S{i}" for i in range(n)],
        some,
        [0] * n,
        window=WINDOW,
        augment=Augmentation(GEOMETRY.spacing),
    )
    return EpochLoader(dataset, sampler=EpochSampler(dataset), **OPTIONS)


def monai_loader(
    cache: Path, keys: list[str], n: int, folder: Path
) -> Iterable[dict[str, torch.Tensor]]:
    """The same volumes through MONAI's persistent cache."""

    def load(key: str) -> torch.Tensor:
        array, _ = VolumeCache(cache).open(key.partition("/")[0])
        return apply_window(torch.from_numpy(array.astype(np.float32))[None], WINDOW)

    transform = Compose(
        [
            Lambdad("image", load),
            EnsureTyped("image", track_meta=False),
            RandFlipd("image", prob=0.5, spatial_axis=1),
            RandFlipd("image", prob=0.5, spatial_axis=2),
            RandAffined(
                "image",
                prob=1.0,
                rotate_range=(np.deg2rad(15), 0, 0),
                scale_range=(0.1, 0.1, 0.1),
                mode="bilinear",
                padding_mode="zeros",
                spatial_size=GEOMETRY.size,
                cache_grid=True,
            ),
        ]
    )
    data = [{"image": f"{keys[i % len(keys)]}/{i}"} for i in range(n)]
    dataset = monai.data.PersistentDataset(data, transform, cache_dir=folder)
    return DataLoader(dataset, shuffle=True, **OPTIONS)


def torchio_loader(folders: list[str], n: int) -> Iterable[dict[str, torch.Tensor]]:
    """TorchIO from the DICOM folders."""
    sz, sy, sx = GEOMETRY.spacing
    z, y, x = GEOMETRY.size
    transform = tio.Compose(
        [
            tio.Resample((sx, sy, sz)),
            tio.CropOrPad((x, y, z), padding_mode=-1024),
            tio.RandomFlip(axes=("LR", "AP")),
            tio.RandomAffine(
                scales=(0.9, 1.1), isotropic=True, degrees=(0, 0, 0, 0, -15, 15),
                default_pad_value=-1024,
            ),
            tio.Lambda(lambda hu: apply_window(hu, WINDOW)),
        ]
    )  # fmt: skip
    subjects = [tio.Subject(image=tio.ScalarImage(folders[i % len(folders)])) for i in range(n)]
    return tio.SubjectsLoader(
        tio.SubjectsDataset(subjects, transform=transform), shuffle=True, **OPTIONS
    )


def epoch_seconds(loader: Iterable[dict[str, torch.Tensor]], n: int) -> float:
    """Seconds per volume of one epoch."""
    start = time.perf_counter()
    seen = 0
    for batch in loader:
        image = batch["image"]
        if isinstance(image, dict):  # TorchIO's (x, y, z)
            image = image[tio.DATA].permute(0, 1, 4, 3, 2)
        assert image.shape[1:] == (1, *GEOMETRY.size)
        assert image.dtype == torch.float32
        seen += len(image)
    assert seen == n
    return (time.perf_counter() - start) / n


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scans", type=int, default=4, help="series of each kind")
    parser.add_argument("--volumes", type=int, default=24, help="examples in an epoch")
    parser.add_argument("--torchio-volumes", type=int, default=4, help="its epoch is cut to these")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        seconds = measure(Path(name), arguments)
    for label, values in seconds.items():
        print(label, [round(v, 3) for v in values])
    median = {label: statistics.median(values) for label, values in seconds.items()}
    rows: list[tuple[str, float, str, str | None, str | None]] = [
        (f"seconds per volume, {label}", value, "s", None, None) for label, value in median.items()
    ]
    for label, target in (("MONAI", ">= 2"), ("TorchIO, 2 mm", ">= 8"), ("TorchIO, 5 mm", ">= 8")):
        ratio = median[label] / median["covidlit"]
        rows.append((f"times as fast as {label}", ratio, "ratio", target, PEERS[label]))
    command = (
        f"python benchmarks/data_path.py --repeats {arguments.repeats} --scans {arguments.scans} "
        f"--volumes {arguments.volumes} --torchio-volumes {arguments.torchio_volumes}"
    )
    keys = ("figure", "value", "unit", "target", "peer")
    figures = [
        dict(zip(keys, (n, round(v, 4), *rest), strict=True)) | {"command": command}
        for n, v, *rest in rows
    ]
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']} {figure['target'] or ''}")
    write_results("data_path", figures)


def measure(root: Path, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds per volume of every repeat, interleaved, after one epoch that is not timed."""
    folders: dict[float, list[str]] = {}
    for spacing in track((2.0, 5.0), "Writing DICOM"):
        folders[spacing] = [str(root / f"{spacing}mm" / str(i)) for i in range(arguments.scans)]
        for i, folder in enumerate(folders[spacing]):
            write_series(Path(folder), round(320 / spacing), spacing=spacing, seed=i)
    cache = root / "cache"
    manifest = pd.DataFrame({"scan_id": folders[2.0], "path": folders[2.0]})
    keys = prepare_cohort(manifest, cache, GEOMETRY, strict=True).table["key"].to_list()
    n, n_torchio = arguments.volumes, arguments.torchio_volumes
    loaders = {
        "covidlit": (covidlit_loader(cache, keys, n), n),
        "MONAI": (monai_loader(cache, keys, n, root / "monai"), n),
        "TorchIO, 2 mm": (torchio_loader(folders[2.0], n_torchio), n_torchio),
        "TorchIO, 5 mm": (torchio_loader(folders[5.0], n_torchio), n_torchio),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loaders}
    for repeat in track(range(arguments.repeats + 1), "Epochs"):
        for name, (loader, length) in loaders.items():
            taken = epoch_seconds(loader, length)
            if repeat:
                seconds[name].append(taken)
    return seconds


if __name__ == "__main__":
    main()
