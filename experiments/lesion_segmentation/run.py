"""Lesion segmentation: Mask R-CNN on synthetic slices, in the paper's design, and on real slices.

python experiments/lesion_segmentation/run.py synthetic   (a) all classes, 60 synthetic patients
python experiments/lesion_segmentation/run.py paper       (b) 100 slices of 10 synthetic patients
python experiments/lesion_segmentation/run.py tune        settings of (c), on training cases
python experiments/lesion_segmentation/run.py real        (c) 213 real slices, beside a 2D U-Net
python experiments/lesion_segmentation/run.py factors     (d) factors from predicted masks
python experiments/lesion_segmentation/run.py report      tables and figures of these
python experiments/lesion_segmentation/run.py all         all of it

(b), (c) and (d) start from the checkpoint of (a). Two trainings at a time, one thread each; what
is finished is kept in finished/, and the same command goes on where it was stopped.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from runs import NAMES, one, train_all  # noqa: E402


def main(arguments: list[str]) -> None:
    """Do a part, or all."""
    match arguments:
        case ["one", name]:
            one(name)
        case [("synthetic" | "paper" | "tune" | "real") as part]:
            train_all(NAMES[part])
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
