"""What makes a 3D network learn small lesions from one label per scan, quickly.

python experiments/weak_labels/run.py [variant ...]

Each variant changes one thing of the quickstart recipe and trains on the same synthetic cohort
(seed 0, a development cohort), for the same number of steps; both networks get the recipe.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from results import auc, keep, train  # noqa: E402

NET = "model.task.net."
VARIANTS: dict[str, list[str]] = {
    "recipe": [],
    "classes balanced but not centres": ["data.balanced=class"],
    "every scan once": ["data.balanced=false"],
    "flips of front and back as in the paper": ["augmentation.flip_axes=[LR,AP]"],
    "no augmentation": ["augmentation=none"],
    "window -1000 to 400 HU": ["data.window=[-1000,400]"],
    "input not standardised": [f"{NET}input_mean=0.0", f"{NET}input_std=1.0"],
    "average pooling": [f"{NET}pooling=avg"],
    "maximum pooling": [f"{NET}pooling=max"],
    "log-sum-exp pooling": [f"{NET}pooling=lse"],
    "blocks not started as identity": [f"{NET}zero_init=false"],
    "group normalisation": [f"{NET}norm=group"],
    "constant learning rate": ["model.task.scheduler=null"],
    "stem stride 1 2 2": [f"{NET}stem_stride=[1,2,2]"],
    "3D ResNet-18 with the recipe": ["model=resnet3d", f"{NET}width=8"],
}


def one(name: str) -> dict[str, object]:
    """Train one variant on one thread and return its figure."""
    folder = name.replace(" ", "_")
    overrides = ["experiment=quickstart", "data.source.n_scans=700", *VARIANTS[name]]
    result = auc(train(f"weak_labels/{folder}", overrides, threads=1))
    return {
        "figure": f"AUC, {name}; 95% CI {result['low']:.2f} to {result['high']:.2f}; synthetic "
        f"cohort seed 0, held-out centre, {result['n']} scans",
        "value": round(result["value"], 3),
        "unit": "1",
        "target": None,
        "peer": None,
        "command": "python experiments/weak_labels/run.py",
    }


def main(names: list[str]) -> None:
    """Train the variants, two at a time, and write what was measured."""
    with ThreadPoolExecutor(2) as pool:
        figures = list(pool.map(one, names))
    keep(HERE / "results.json", figures)


if __name__ == "__main__":
    unknown = [name for name in sys.argv[1:] if name not in VARIANTS]
    if unknown:
        sys.exit(f"there is no variant {unknown[0]!r}; there are: {'; '.join(VARIANTS)}")
    main(sys.argv[1:] or list(VARIANTS))
