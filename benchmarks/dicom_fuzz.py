"""Damage one file of a CT series at random, and see whether the reader notices.

    python benchmarks/dicom_fuzz.py --real ../shared/data/ct/partial_chest_real.tar.xz

Each mutation must end, within 10 s and without a crash, in a verdict that flags it (the series or
a left-over of it refused, the file listed as a problem, or named in a note) or in a scan whose
slice order and affine equal the original's. Writes benchmarks/results/dicom_fuzz.json.
"""

from __future__ import annotations

import argparse
import collections
import io
import shutil
import signal
import tarfile
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from dicom_series import compress, write_series
from record import write_results
from rich.progress import track

from covidlit.dicom import find_series, judge, read_series
from covidlit.errors import CovidlitError
from covidlit.scans.scan import Scan

LIMIT_S = 10.0
N_SLICES = 16  # more than the 12 that the checks ask for, so that a lost slice alone is no refusal
_EXTREMES = ["", "0", "-1", "1e308", "nan", "inf", "1\\2", "abc", "99999999999", "1_0"]


@dataclass
class Outcome:
    """What became of one mutation: `flagged`, `same`, `crash`, `hang` or `silent`."""

    seed: int
    kind: str
    result: str
    detail: str
    seconds: float


class HangError(Exception):
    """The reader took longer than `LIMIT_S`."""


def flip_bytes(content: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Replace 1 to 8 bytes; two times in three in the header."""
    damaged = bytearray(content)
    end = len(content) if rng.random() < 1 / 3 else min(len(content), _header_size(content))
    places = rng.integers(0, end, rng.integers(1, 9))
    for place in places:
        damaged[place] = int(rng.integers(0, 256))
    return bytes(damaged), f"bytes {sorted(places.tolist())}"


def truncate(content: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Cut the file; one time in three within the header."""
    end = len(content) if rng.random() < 2 / 3 else _header_size(content)
    length = int(rng.integers(0, end))
    return content[:length], f"cut to {length}"


def edit_tag(content: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Delete, empty or change one element (or a file-meta element), or swap it for an extreme."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(content))
        target = dataset.file_meta if rng.random() < 0.05 else dataset
        tags = [
            element.tag for element in target if element.tag != 0x7FE00010 or rng.random() < 0.2
        ]
        tag = tags[int(rng.integers(len(tags)))]
        action = ("delete", "nudge", "extreme")[int(rng.integers(3))]
        name = f"{action} {pydicom.datadict.keyword_for_tag(tag) or tag}"
        if action == "delete" or target[tag].VR in ("SQ", "OB", "OW", "UN"):
            del target[tag]
        elif action == "nudge":
            target[tag].value = _nudged(target[tag].value, rng)
            name += f" to {str(target[tag].value)[:60]}"
        else:
            value: Any = _EXTREMES[int(rng.integers(len(_EXTREMES)))]
            binary = target[tag].VR in ("US", "UL", "SS", "SL")
            target[tag].value = int(rng.integers(0, 65536)) if binary else value
            name += f" to {str(target[tag].value)[:60]}"
        written = io.BytesIO()
        pydicom.dcmwrite(written, dataset, enforce_file_format=False)
    return written.getvalue(), name


def _nudged(value: Any, rng: np.random.Generator) -> Any:
    """A value that is wrong but plausible."""
    if isinstance(value, pydicom.multival.MultiValue):
        parts = list(value)
        k = int(rng.integers(len(parts)))
        parts[k] = _nudged(parts[k], rng)
        return parts
    if isinstance(value, int):
        return max(0, int(value) + int(rng.integers(-3, 4)))
    if isinstance(value, float):
        change = (0.001, 0.1, 1.0, 2.0, 5.0, 100.0)[int(rng.integers(6))]
        return round(float(value) + change * (1 if rng.random() < 0.5 else -1), 6)
    text = str(value)
    return text + "1" if rng.random() < 0.5 else text[:-1]


def _header_size(content: bytes) -> int:
    place = content.find(b"\xe0\x7f\x10\x00")
    return place if place > 0 else len(content)


MUTATIONS: dict[str, Callable[[bytes, np.random.Generator], tuple[bytes, str]]] = {
    "bytes": flip_bytes,
    "truncation": truncate,
    "tag": edit_tag,
}


def fuzz(folder: Path, n_mutations: int, first_seed: int = 0) -> Iterator[Outcome]:
    """Mutate one file of the series in `folder` `n_mutations` times, one at a time.

    Args:
        folder: holds one accepted series and nothing else; left as it was.
        n_mutations: how many; number k uses the seed `first_seed + k`.
        first_seed: of the first mutation.
    """
    original = read_series(folder)
    files = sorted(folder.iterdir())
    contents = {path: path.read_bytes() for path in files}
    for seed in range(first_seed, first_seed + n_mutations):
        rng = np.random.default_rng(seed)
        path = files[int(rng.integers(len(files)))]
        kind = ("bytes", "truncation", "tag")[int(rng.integers(3))]
        try:
            damaged, what = MUTATIONS[kind](contents[path], rng)
        except Exception as error:  # pydicom refuses to write some values; cut the file instead
            damaged, what = truncate(contents[path], rng)
            kind, what = "truncation", f"{what_of(error)}, so {what}"
        path.write_bytes(damaged)
        start = time.perf_counter()
        try:
            with _time_limit(LIMIT_S):
                result, detail = _outcome(folder, original, path.name)
        except HangError:
            result, detail = "hang", ""
        except CovidlitError as error:
            result, detail = "flagged", str(error)
        except Exception:
            result, detail = "crash", traceback.format_exc()
        seconds = time.perf_counter() - start
        path.write_bytes(contents[path])
        yield Outcome(seed, kind, result, f"{path.name}: {what}: {detail}", seconds)


def what_of(error: Exception) -> str:
    """One word for an error of the mutation itself."""
    return type(error).__name__


def _outcome(folder: Path, original: Scan, name: str) -> tuple[str, str]:
    found = find_series(folder)
    if found.problems:
        return "flagged", f"problem: {found.problems[0].reason}"
    for series in found.series:
        verdict = judge(series)
        if not verdict.accepted:
            return "flagged", verdict.reason
        if any(name in note for note in verdict.notes):
            return "flagged", "; ".join(verdict.notes)
    if len(found.series) != 1:
        return "silent", f"{len(found.series)} series"
    scan = read_series(found.series[0])
    if scan.hu.shape != original.hu.shape or not np.allclose(
        scan.affine, original.affine, rtol=0, atol=1e-6
    ):
        return "silent", f"shape {scan.hu.shape}, affine {scan.affine.tolist()}"
    differ = (scan.hu != original.hu).any(axis=(1, 2)).sum()
    return ("same", f"{differ} slice differs") if differ <= 1 else ("silent", "another order")


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def extract_real(archive: Path, folder: Path, n_slices: int = N_SLICES) -> None:
    """Unpack the first `n_slices` DICOM files of an archive, by name, into `folder`."""
    folder.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        members = sorted((m for m in tar if m.name.endswith(".dcm")), key=lambda m: m.name)
        for member in members[:n_slices]:
            stored = tar.extractfile(member)
            assert stored is not None
            (folder / Path(member.name).name).write_bytes(stored.read())


def main() -> None:
    """Fuzz every source, print what went wrong, write the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=1000, help="for each source")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first mutation")
    parser.add_argument("--real", type=Path, help="a .tar.xz of a real series (not shipped)")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    command = (
        f"python benchmarks/dicom_fuzz.py --mutations {arguments.mutations} --seed {arguments.seed}"
    )
    command += " --real <archive>" if arguments.real else ""
    figures: list[dict[str, Any]] = []
    scratch = Path(tempfile.mkdtemp())
    try:
        sources = {"synthetic": scratch / "synthetic", "synthetic JPEG lossless": scratch / "jpeg"}
        write_series(sources["synthetic"], N_SLICES, size=64, spacing=2.5)
        compress(sources["synthetic"], sources["synthetic JPEG lossless"])
        if arguments.real:
            sources["real"] = scratch / "real"
            extract_real(arguments.real, sources["real"])
        for source, folder in sources.items():
            outcomes = list(
                track(
                    fuzz(folder, arguments.mutations, arguments.seed),
                    source,
                    total=arguments.mutations,
                )
            )
            figures += _figures(source, outcomes, command)
            for one in outcomes:
                if one.result not in ("flagged", "same") or arguments.verbose:
                    print(f"{source}: seed {one.seed} {one.kind} {one.result}: {one.detail}")
    finally:
        shutil.rmtree(scratch)
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']} {figure['target'] or ''}")
    print(write_results("dicom_fuzz", figures))


def _figures(source: str, outcomes: list[Outcome], command: str) -> list[dict[str, Any]]:
    counts = collections.Counter(one.result for one in outcomes)
    rows = [
        ("crashes", counts["crash"], "mutations", "== 0"),
        ("hangs over 10 s", counts["hang"], "mutations", "== 0"),
        ("neither flagged nor equal", counts["silent"], "mutations", "== 0"),
        ("flagged", counts["flagged"], "mutations", None),
        ("order and affine equal to the original's", counts["same"], "mutations", None),
        ("slowest", round(max(one.seconds for one in outcomes), 3), "s", "<= 10"),
    ]
    return [
        {
            "figure": f"{source}, {len(outcomes)} mutations: {name}",
            "value": value,
            "unit": unit,
            "target": target,
            "peer": None,
            "command": command,
        }
        for name, value, unit, target in rows
    ]


if __name__ == "__main__":
    main()
