"""What makes a 3D network learn small lesions from one label per scan, quickly.

python experiments/weak_labels/run.py [variant ...]

Each variant changes one thing of the quickstart recipe and trains on the same synthetic cohort
(seed 1, a development cohort) for 300 steps; both networks get the recipe.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from results import FIRST_RECIPE, Run, auc, keep, train  # noqa: E402

COHORT = [*FIRST_RECIPE, "data.source.seed=1", "trainer.max_epochs=12"]
NET = "model.task.net."
VARIANTS: dict[str, list[str]] = {
    "recipe": [],
    "balanced draws one by one": [],
    "classes balanced but not centres": ["data.balanced=class"],
    "every scan once": ["data.balanced=false"],
    "average pooling": [f"{NET}pooling=avg"],
    "log-sum-exp pooling": [f"{NET}pooling=lse"],
    "blocks not started as identity": [f"{NET}zero_init=false"],
    "group normalisation": [f"{NET}norm=group"],
    "one-cycle to 1e-3": ["model.task.optimizer.lr=1e-3"],
    "constant 1e-3 as in the paper": ["model.task.scheduler=null", "model.task.optimizer.lr=1e-3"],
    "flips of front and back as in the paper": ["augmentation.flip_axes=[LR,AP]"],
    "no augmentation": [
        f"augmentation.{name}" for name in ("scales=[1,1]", "degrees=0", "flip_axes=[]")
    ],
    "window -1000 to 400 HU": ["data.window=[-1000,400]"],
    "3D ResNet-18 with the recipe": ["model=resnet3d", f"{NET}width=8"],
}
SCRIPTS = {"balanced draws one by one": "experiments/weak_labels/one_by_one.py"}


def one(name: str) -> Run:
    """Train one variant on one thread."""
    folder = name.replace(" ", "_")
    overrides = [*COHORT, *VARIANTS[name]]
    script = SCRIPTS.get(name, "train.py")
    return train(f"weak_labels/{folder}", overrides, threads=1, script=script)


def figure(name: str, run: Run) -> dict[str, object]:
    """The held-out AUC of a variant."""
    result = auc(run)
    return {
        "figure": f"AUC, {name}; 95% CI {result['low']:.2f} to {result['high']:.2f}; synthetic "
        f"cohort seed 1, held-out centre, {result['n']} scans",
        "value": round(result["value"], 3),
        "unit": "1",
        "target": None,
        "peer": None,
        "command": "python experiments/weak_labels/run.py",
    }


def main(names: list[str]) -> None:
    """Train the variants, two at a time, and write what was measured."""
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(one, names))
    keep(HERE / "results.json", list(map(figure, names, runs)), runs)


if __name__ == "__main__":
    unknown = [name for name in sys.argv[1:] if name not in VARIANTS]
    if unknown:
        sys.exit(f"there is no variant {unknown[0]!r}; there are: {'; '.join(VARIANTS)}")
    main(sys.argv[1:] or list(VARIANTS))
