"""Damage one file of a CT series at random, and see whether the reader notices.

    python benchmarks/dicom_fuzz.py --real ../shared/data/ct/partial_chest_real.tar.xz

Each mutation must end, within 10 s, 1 GB and without a crash, in a verdict that flags it (the
series or a left-over of it refused, the file listed as a problem, or named in a note) or in a scan
whose affine and HU equal the original's. HU that differ are allowed in one case alone, counted by
itself, since nothing in a file can tell it: the elements that HU hang on are as they were, and the
pixel data are as many bytes in as many fragments, of the same claimed size and precision, with
other values. The sources are raw, in four kinds of compression and deflated; each is read in a
process of its own, which counts as lost where it ends. Writes benchmarks/results/dicom_fuzz.json.
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
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from dicom_series import compress, convert, write_series
from pydicom.encaps import generate_fragments
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from record import write_results
from rich.progress import track

from covidlit.dicom import decoding, find_series, judge, read_series
from covidlit.dicom.codestream import read_codestream
from covidlit.errors import CovidlitError
from covidlit.scans.scan import Scan

LIMIT_S = 10.0
COMMAND = "python benchmarks/dicom_fuzz.py"
N_SLICES = 16  # more than the 12 that the checks ask for, so that a lost slice alone is no refusal
SYNTAXES = {
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
    "RLE": RLELossless,
    "deflated": DeflatedExplicitVRLittleEndian,
}
_HU_ELEMENTS = (
    "Rows", "Columns", "NumberOfFrames", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope",
    "RescaleIntercept", "RescaleType", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "ModalityLUTSequence",
)  # fmt: skip
_EXTREMES = ["", "0", "-1", "1e308", "nan", "inf", "1\\2", "abc", "99999999999", "1_0"]


@dataclass
class Outcome:
    """What became of one mutation.

    `flagged`, `same`, `values` (other pixel values alone, see above), `crash`, `hang`, `lost` or
    `silent`.
    """

    seed: int
    kind: str
    result: str
    detail: str
    seconds: float
    peak_mb: float = 0.0


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


def damage_code(content: bytes, rng: np.random.Generator) -> tuple[bytes, str]:
    """Change bits of 1 to 4 bytes of the pixel data; one time in two at their start."""
    damaged = bytearray(content)
    start = min(_header_size(content), len(content) - 1)
    end = len(content) if rng.random() < 0.5 else min(len(content), start + 200)
    places = rng.integers(start, end, rng.integers(1, 5))
    for place in places:
        damaged[place] ^= int(rng.integers(1, 256))
    return bytes(damaged), f"code {sorted(places.tolist())}"


MUTATIONS: dict[str, Callable[[bytes, np.random.Generator], tuple[bytes, str]]] = {
    "bytes": flip_bytes,
    "truncation": truncate,
    "tag": edit_tag,
    "code": damage_code,
}


def fuzz(folder: Path, n_mutations: int, first_seed: int = 0) -> Iterator[Outcome]:
    """Mutate one file of the series in `folder` `n_mutations` times, one at a time.

    Args:
        folder: holds one accepted series and nothing else; left as it was.
        n_mutations: how many; number k uses the seed `first_seed + k`.
        first_seed: of the first mutation.
    """
    for seed in range(first_seed, first_seed + n_mutations):
        yield mutate_once(folder, seed)


def fuzz_apart(folder: Path, n_mutations: int, first_seed: int = 0) -> Iterator[Outcome]:
    """`fuzz` in another process, which is started again where a mutation ends it."""
    contents = {path: path.read_bytes() for path in folder.iterdir()}
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    for seed in range(first_seed, first_seed + n_mutations):
        try:
            yield pool.submit(mutate_once, folder, seed).result()
        except BrokenProcessPool as error:
            yield Outcome(seed, "", "lost", str(error), 0.0)
            for path, content in contents.items():
                path.write_bytes(content)
            pool = ProcessPoolExecutor(1, get_context("spawn"))
    pool.shutdown()


def mutate_once(folder: Path, seed: int) -> Outcome:
    """Mutate one file of a series, read the series, and put the file back."""
    original, contents = _original(folder)
    rng = np.random.default_rng(seed)
    path = list(contents)[int(rng.integers(len(contents)))]
    kind = list(MUTATIONS)[int(rng.integers(len(MUTATIONS)))]
    try:
        damaged, what = MUTATIONS[kind](contents[path], rng)
    except Exception as error:  # pydicom refuses to write some values; cut the file instead
        damaged, what = truncate(contents[path], rng)
        kind, what = "truncation", f"{what_of(error)}, so {what}"
    path.write_bytes(damaged)
    _forget_peaks()
    start = time.perf_counter()
    try:
        with _time_limit(LIMIT_S):
            result, detail = _outcome(folder, original, path.name)
        if result == "other HU":
            result = "values" if only_values_differ(contents[path], damaged) else "silent"
    except HangError:
        result, detail = "hang", ""
    except CovidlitError as error:
        result, detail = "flagged", str(error)
    except Exception:
        result, detail = "crash", traceback.format_exc()
    seconds = time.perf_counter() - start
    path.write_bytes(contents[path])
    return Outcome(seed, kind, result, f"{path.name}: {what}: {detail}", seconds, _peak_mb())


@cache
def _original(folder: Path) -> tuple[Scan, dict[Path, bytes]]:
    return read_series(folder), {path: path.read_bytes() for path in sorted(folder.iterdir())}


def _forget_peaks() -> None:
    for process in _processes():
        with suppress(OSError):
            Path(f"/proc/{process}/clear_refs").write_text("5")


def _peak_mb() -> float:
    """The most memory that a process of the reader has held since `_forget_peaks`, in MB."""
    peaks = [0.0]
    for process in _processes():
        with suppress(OSError):
            for line in Path(f"/proc/{process}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peaks.append(int(line.split()[1]) / 1000)
    return max(peaks)


def _processes() -> list[str | int]:
    return ["self", *decoding.process_ids()]


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
    differ = int((scan.hu != original.hu).any(axis=(1, 2)).sum())
    if differ > 1:
        return "silent", "another order"
    change = f"HU of a slice differ by up to {np.abs(scan.hu.astype(int) - original.hu).max()}"
    return ("other HU", change) if differ else ("same", "")


def only_values_differ(content: bytes, damaged: bytes) -> bool:
    """Whether nothing but values of pixels tells two files apart where HU are concerned."""
    return _what_hu_hang_on(content) == _what_hu_hang_on(damaged)


def _what_hu_hang_on(content: bytes) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(content), force=True)
        values: list[Any] = [dataset.file_meta.get("TransferSyntaxUID")]
        # As stored: a damaged VR need not hide a value from the reader, nor from this comparison.
        stored = [dataset.get_item(pydicom.tag.Tag(keyword)) for keyword in _HU_ELEMENTS]
        values += [None if element is None else element.value for element in stored]
    pixels = dataset.get("PixelData", b"")
    if not values[0].is_encapsulated:
        return [*values, len(pixels)]
    fragments = list(generate_fragments(pixels))
    code = b"".join(fragments)
    said = None if values[0] == RLELossless else read_codestream(code, values[0])
    return [*values, [len(fragment) for fragment in fragments], said]


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
    command = f"{COMMAND} --mutations {arguments.mutations} --seed {arguments.seed}"
    command += " --real <archive>" if arguments.real else ""
    figures: list[dict[str, Any]] = []
    scratch = Path(tempfile.mkdtemp())
    try:
        names = ("", "JPEG lossless", *SYNTAXES)
        sources = {f"synthetic {name}".strip(): scratch / f"s{name}" for name in names}
        raw = sources["synthetic"]
        write_series(raw, N_SLICES, size=64, spacing=2.5)
        compress(raw, sources["synthetic JPEG lossless"])
        for name, syntax in SYNTAXES.items():
            convert(raw, sources[f"synthetic {name}"], syntax)
        if arguments.real:
            sources["real"] = scratch / "real"
            extract_real(arguments.real, sources["real"])
        for source, folder in sources.items():
            tried = fuzz_apart(folder, arguments.mutations, arguments.seed)
            outcomes = list(track(tried, source, total=arguments.mutations))
            figures += _figures(source, outcomes, command)
            for one in outcomes:
                if one.result not in ("flagged", "same", "values") or arguments.verbose:
                    print(f"{source}: seed {one.seed} {one.kind} {one.result}: {one.detail}")
    finally:
        shutil.rmtree(scratch)
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']} {figure['target'] or ''}")
    print(write_results("dicom_fuzz", figures))


def _figures(source: str, outcomes: list[Outcome], command: str) -> list[dict[str, Any]]:
    counts = collections.Counter(one.result for one in outcomes)
    rows = [
        ("processes lost", counts["lost"], "mutations", "== 0"),
        ("over 1 GB", sum(one.peak_mb > 1000 for one in outcomes), "mutations", "== 0"),
        ("crashes", counts["crash"], "mutations", "== 0"),
        ("hangs over 10 s", counts["hang"], "mutations", "== 0"),
        ("wrong without a flag", counts["silent"], "mutations", "== 0"),
        ("flagged", counts["flagged"], "mutations", None),
        ("affine and HU equal to the original's", counts["same"], "mutations", None),
        ("other values of pixels alone", counts["values"], "mutations", None),
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
