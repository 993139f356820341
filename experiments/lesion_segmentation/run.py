"""Lesion segmentation: Mask R-CNN on synthetic slices, in the paper's design, and on real slices.

python experiments/lesion_segmentation/run.py synthetic   (a) all classes, 60 synthetic patients
python experiments/lesion_segmentation/run.py paper       (b) 100 slices of 10 synthetic patients
python experiments/lesion_segmentation/run.py tune        settings of (c), on training cases
python experiments/lesion_segmentation/run.py real        (c) 213 real slices, beside a 2D U-Net
python experiments/lesion_segmentation/run.py factors     (d) factors, (e) healthy lungs
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

from trainings import NAMES, one, train_all  # noqa: E402

PARTS = ("synthetic", "paper", "tune", "real")


def main(arguments: list[str]) -> None:
    """Do a part, or all."""
    match arguments:
        case ["one", name]:
            one(name)
        case [part] if part in PARTS:
            train_all(NAMES[part])
        case ["factors"]:
            import factors

            factors.healthy()
        case ["report"]:
            report()
        case ["all"]:
            for part in (*PARTS, "factors", "report"):
                main([part])
        case _:
            sys.exit(__doc__)


def report() -> None:
    """Tables, figures and pictures of what is finished."""
    import pictures
    from report import write

    for each in write():
        print(f"{each['figure']}: {each['value']} {each['unit']} (target {each['target']})")
    pictures.draw()


if __name__ == "__main__":
    main(sys.argv[1:])
