"""README's fourth step where there are 8 GB: it ends with advice, and trains by following it.

    python benchmarks/small_machine.py                       in a control group of 8 GB (as root)
    python benchmarks/small_machine.py --addresses           under `ulimit -v` instead

Twenty synthetic patients of 512 x 512 pixels; the trainings that follow the advice stop after two
steps. Writes results/small_machine.json.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import write_results

ROOT = Path(__file__).parents[1]
COMMAND = "python benchmarks/small_machine.py"
GROUP = Path("/sys/fs/cgroup/memory/covidlit_small_machine")  # version 1
GROUP_2 = Path("/sys/fs/cgroup/covidlit_small_machine")
LIMIT = 8_000_000_000
STEP_4 = ("train", "data=manifest", "split.test_centres=[centre_4]", "model=csacnet")
SHORT = ("trainer.max_epochs=1", "trainer.limit_train_batches=2", "callbacks=last_epoch",
         "evaluation.operating_point=0.5")  # fmt: skip


def limited(command: list[str], *, addresses: bool) -> tuple[int, str, float, float]:
    """Exit code, output, seconds, and the most GB that the command held, under the limit."""

    def enter() -> None:
        if addresses:
            resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
            return
        version_1 = GROUP.parent.is_dir()
        group = GROUP if version_1 else GROUP_2
        group.mkdir(exist_ok=True)
        limit = "memory.limit_in_bytes" if version_1 else "memory.max"
        (group / limit).write_text(str(LIMIT))
        (group / "cgroup.procs").write_text(str(os.getpid()))

    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "covidlit", *command], stdout=output, stderr=subprocess.STDOUT,
            preexec_fn=enter, cwd=ROOT,
        )  # fmt: skip
        _, status, usage = os.wait4(child.pid, 0)
        output.seek(0)
        said = output.read()
    seconds = time.monotonic() - start
    return os.waitstatus_to_exitcode(status), said, seconds, usage.ru_maxrss * 1024 / 1e9


def main() -> None:
    """Run the step, follow what it says, write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--addresses", action="store_true", help="limit by `ulimit -v`")
    addresses = parser.parse_args().addresses
    figures = []

    def note(figure: str, value: float, unit: str, target: str | None) -> None:
        print(f"{figure}: {value:g} {unit}")
        figures.append(
            {"figure": figure, "value": value, "unit": unit, "target": target, "peer": None,
             "command": COMMAND + " --addresses" * addresses}
        )  # fmt: skip

    with tempfile.TemporaryDirectory() as folder:
        cohort, manifest = Path(folder, "cohort"), Path(folder, "manifest.csv")
        tool = [sys.executable, "-m", "covidlit"]
        size = ["--n-scans", "20", "--matrix", "512", "--thickness-mm", "5", "--no-truth"]
        subprocess.run([*tool, "synthesize", str(cohort), *size], check=True, capture_output=True)
        labels = ["--labels", str(cohort / "labels.csv"), "--out", str(manifest)]
        subprocess.run(
            [*tool, "manifest", str(cohort / "dicom"), *labels], check=True, capture_output=True
        )
        own = [f"data.source.path={manifest}", f"data_dir={folder}/data", "heatmaps=false"]
        code, said, seconds, peak = limited(
            [*STEP_4, *own, f"hydra.run.dir={folder}/step4"], addresses=addresses
        )
        print(said.strip().splitlines()[-1])
        note("step 4, exit code", code, "", "2")
        note("step 4, until it says so, with preparation", round(seconds, 1), "s", None)
        note("step 4, peak memory", round(peak, 2), "GB", "< 8")
        found = re.search(r"((?:model\S+ )?data\.batch_size=\d+ trainer\.\S+=\d+) fits", said)
        ways = {"the settings that it names": found[1].split() if found else []}
        ways["experiment=small"] = ["experiment=small"]
        for name, way in ways.items():
            code, said, _, peak = limited(
                [*STEP_4, *own, *way, *SHORT, f"hydra.run.dir={folder}/{len(way)}"],
                addresses=addresses,
            )
            if code:
                print(said[-2000:])
            note(f"following {name}, exit code", code, "", "0")
            note(f"following {name}, peak memory", round(peak, 2), "GB", "< 8")
    print(write_results("small_machine", figures))


if __name__ == "__main__":
    main()
