"""Compressed pixels: right values, and decoders whose death, hanging or panic costs one file."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from covidlit.dicom import Checks, SeriesRefused, decoding, read_series
from covidlit.dicom.codestream import read_codestream

Write = Callable[..., Path]
SYNTAXES = (RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1)
WITHOUT = Checks(override=frozenset({"unreadable_file"}))
END = "a001"


def _code(stored: NDArray[np.integer], bits: int = 16) -> bytes:
    """JPEG lossless by GDCM."""
    owner = gdcm.ImageReader()
    picture = owner.GetImage()
    picture.SetNumberOfDimensions(2)
    picture.SetDimensions((stored.shape[1], stored.shape[0], 1))
    kind = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    picture.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    picture.SetPixelFormat(gdcm.PixelFormat(1, 16, bits, bits - 1, 0))
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetByteStringValue(stored.astype("<u2").tobytes())
    picture.SetDataElement(element)
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(picture)
    assert change.Change()
    fragments = change.GetOutput().GetDataElement().GetSequenceOfFragments()
    return fragments.GetFragment(0).GetByteValue().GetBuffer().encode("utf-8", "surrogateescape")


def _compress(ds: Dataset, syntax: str) -> None:
    """Compress a slice, with each pixel in more places: OpenJPEG wants at least 32 of them."""
    larger = ds.pixel_array.repeat(3, 0).repeat(4, 1)
    ds.Rows, ds.Columns = larger.shape
    ds.PixelData = larger.tobytes()
    if syntax == JPEGLosslessSV1:
        code = _code(ds.pixel_array.view(np.uint16), ds.BitsStored)
        ds.PixelData = encapsulate([code + b"\0" * (len(code) % 2)])
        ds["PixelData"].VR = "OB"
        ds.file_meta.TransferSyntaxUID = syntax
    else:
        ds.compress(syntax, generate_instance_uid=False)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("signed", [0, 1])
def test_every_syntax_gives_the_stored_values(
    write_ct: Write, stored: Callable[..., None], syntax: str, bits: int, signed: int
) -> None:
    rng = np.random.default_rng(bits)
    low = -(1 << bits - 1) if signed else 0
    values = rng.integers(low, low + (1 << bits), (14, 12, 10))

    def edit(ds: Dataset, k: int) -> None:
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, signed
        ds.RescaleIntercept = 0 if signed else -1024
        stored(ds, values[k])
        _compress(ds, syntax)

    hu = read_series(write_ct(edit=edit)).hu
    values = values.repeat(3, 1).repeat(4, 2)
    expected = np.clip(
        values - (0 if signed else 1024), -1024, 32767
    )  # below air is air; HU are 16 bits
    np.testing.assert_array_equal(hu, expected)


def _refused(folder: Path, *words: str) -> None:
    with pytest.raises(SeriesRefused) as refusal:
        read_series(folder)
    reason = refusal.value.verdict.reason
    assert all(word in reason for word in (END, "undecodable", *words)), reason
    assert "a002" not in reason
    scan = read_series(folder, WITHOUT)
    np.testing.assert_array_equal(scan.hu[:, 0, 0], 100 * np.arange(13))


def _replaced(write: Write, syntax: str, change: Callable[[bytes], bytes]) -> Path:
    def edit(ds: Dataset, k: int) -> None:
        _compress(ds, syntax)
        if k == 13:
            code = change(get_frame(ds.PixelData, 0, number_of_frames=1))
            ds.PixelData = encapsulate([code + b"\0" * (len(code) % 2)])
            ds["PixelData"].VR = "OB"

    return write(edit=edit)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_code_that_is_cut_off_costs_its_own_file(write_ct: Write, syntax: str) -> None:
    _refused(_replaced(write_ct, syntax, lambda code: code[: len(code) * 2 // 3]))


@pytest.mark.parametrize("syntax", SYNTAXES[1:])
def test_a_code_of_another_size_is_refused_before_it_is_decoded(
    write_ct: Write, syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wider(code: bytes) -> bytes:
        said = read_codestream(code, syntax)
        assert said is not None
        assert (said.rows, said.columns, said.precision) == (36, 40, 16)
        ds = Dataset()
        ds.file_meta = pydicom.dataset.FileMetaDataset()
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.Rows, ds.Columns = 20, 30
        ds.PixelData = np.zeros((20, 30), "<i2").tobytes()
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        ds.SOPClassUID, ds.SOPInstanceUID = "1.2", "1.3"
        _compress(ds, syntax)
        return get_frame(ds.PixelData, 0, number_of_frames=1)

    _refused(_replaced(write_ct, syntax, wider), "(60, 120, 1)", "(36, 40, 1)")


def test_what_a_decoder_only_prints_is_heard(write_ct: Write) -> None:
    """GDCM decodes half an image, says so on standard error, and calls it done."""
    rng = np.random.default_rng(0)
    code = _code(rng.integers(0, 4096, (36, 40)))
    half = code[: len(code) * 3 // 4] + b"\xff\xd9"
    _refused(_replaced(write_ct, JPEGLosslessSV1, lambda _: half), "Corrupt JPEG data")


def test_a_code_of_another_precision_than_its_neighbours_is_refused(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.PixelRepresentation = 0
        ds.BitsStored = 16 if k == 13 else 12
        _compress(ds, JPEGLSLossless)
        ds.BitsStored, ds.HighBit = 12, 11

    with pytest.raises(SeriesRefused, match=r"a001.*values of 16 bits.*other slices 12"):
        read_series(write_ct(edit=edit))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes the RLE decoder run a line of Python for codes that end in the bytes `bad!`."""

    def make(line: str) -> Path:
        script = tmp_path / "fake_worker.py"
        script.write_text(
            "import importlib.util, os, signal, time\n"
            f"spec = importlib.util.spec_from_file_location('worker', {str(decoding.WORKER)!r})\n"
            "worker = importlib.util.module_from_spec(spec)\n"
            "spec.loader.exec_module(worker)\n"
            "decode = worker.rle_decoder()\n"
            "class Panic(BaseException): pass\n"
            "def fake(request, code):\n"
            "    if code.rstrip(b'\\0').endswith(b'bad!'):\n"
            f"        {line}\n"
            "    return decode(request, code)\n"
            "worker.DECODERS['rle'] = lambda: fake\n"
            "worker.main()\n"
        )
        decoding._pool.close_all()
        monkeypatch.setattr(decoding, "WORKER", script)
        return script

    yield make
    decoding._pool.close_all()


def _marked(write: Write) -> Path:
    return _replaced(write, RLELossless, lambda code: code + b"bad!")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("os.abort()", "SIGABRT"),
        ("os._exit(7)", "exit status 7"),
        ("raise Panic('index out of range')", "index out of range"),
        ("return bytes(3)", "decoded to 3 bytes"),
        ("bytearray(8 << 30)", "MemoryError"),
    ],
)
def test_a_decoder_that_dies_costs_the_right_file(
    write_ct: Write, fake: Callable[[str], Path], line: str, word: str
) -> None:
    fake(line)
    _refused(_marked(write_ct), word)


def test_a_decoder_that_hangs_is_stopped(
    write_ct: Write, fake: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVIDLIT_DECODE_SECONDS", "0.4")
    fake("time.sleep(60)")
    start = time.monotonic()
    _refused(_marked(write_ct), "took more than 0.4 s", "COVIDLIT_DECODE_SECONDS")
    assert time.monotonic() - start < 10


def test_after_two_that_hang_the_others_are_not_tried(
    write_ct: Write, fake: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVIDLIT_DECODE_SECONDS", "0.3")
    fake("time.sleep(60)")

    def edit(ds: Dataset, k: int) -> None:
        _compress(ds, RLELossless)
        code = get_frame(ds.PixelData, 0, number_of_frames=1) + b"bad!"
        ds.PixelData = encapsulate([code + b"\0" * (len(code) % 2)])
        ds["PixelData"].VR = "OB"

    start = time.monotonic()
    with pytest.raises(SeriesRefused, match="took too long over 2 others"):
        read_series(write_ct(edit=edit))
    assert time.monotonic() - start < 5


def test_decoder_processes_are_kept_and_are_not_shared_with_a_fork(write_ct: Write) -> None:
    folder = write_ct(edit=lambda ds, k: _compress(ds, RLELossless))
    read_series(folder)
    warm = decoding.process_ids()
    read_series(folder)
    assert set(decoding.process_ids()) == set(warm)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()

    def child() -> None:
        before = decoding.process_ids()
        queue.put((before, read_series(folder).hu[:, 0, 0].tolist(), decoding.process_ids()))

    # As a DataLoader's worker: daemonic, so that it may have no children of multiprocessing.
    process = context.Process(target=child, daemon=True)
    process.start()
    before, values, own = queue.get(timeout=60)
    process.join(60)
    assert before == []
    assert values == (100 * np.arange(14)).tolist()
    assert not set(own) & set(warm)
    assert read_series(folder).hu[3, 0, 0] == 300
    assert set(decoding.process_ids()) == set(warm)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="asks /proc for the process")
def test_a_decoder_process_ends_with_its_killed_parent(write_ct: Write) -> None:
    folder = write_ct(edit=lambda ds, k: _compress(ds, RLELossless))
    code = (
        "import sys, time; from covidlit.dicom import decoding, read_series; "
        f"read_series({str(folder)!r}); print(*decoding.process_ids(), flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        workers = [int(word) for word in parent.stdout.readline().split()]
        assert workers
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while any(_is_running(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_no_process_can_be_started_is_not_said_of_a_file(
    write_ct: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_ct(edit=lambda ds, k: _compress(ds, RLELossless))

    def no_process(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    decoding._pool.close_all()
    monkeypatch.setattr(subprocess, "Popen", no_process)
    with pytest.raises(OSError, match="Too many open files"):
        read_series(folder)
