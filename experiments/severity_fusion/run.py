"""Severity and death from laboratory values and factors of lesions: fusion network and peers.

python experiments/severity_fusion/run.py recipe     settings of the network, on other tables
python experiments/severity_fusion/run.py paper      (a) the severity paper's design, synthetic
python experiments/severity_fusion/run.py labs       (b) real laboratory values, outcome death
python experiments/severity_fusion/run.py tuned      (b) peers with tuned parameters
python experiments/severity_fusion/run.py prognosis  (b) time to death
python experiments/severity_fusion/run.py curve      (c) how many patients are needed
python experiments/severity_fusion/run.py permuted   (d) labels that mean nothing
python experiments/severity_fusion/run.py report     tables and figures of these
python experiments/severity_fusion/run.py all        all of it

What is finished is kept in runs/, and the same command goes on where it was stopped.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from studies import STUDIES  # noqa: E402


def main(arguments: list[str]) -> None:
    """Do a part, or all."""
    match arguments:
        case ["recipe"]:
            import recipe

            recipe.choose()
        case [part] if part in STUDIES:
            STUDIES[part]()
        case ["report"]:
            import report

            for each in report.write():
                print(f"{each['figure']}: {each['value']} {each['unit']} (target {each['target']})")
        case ["all"]:
            for part in ("recipe", *STUDIES, "report"):
                main([part])
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
