"""Scores of new scans from a checkpoint: read, prepared and windowed as in its training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from covidlit.checkpoints import load_checkpoint, load_task, read_record
from covidlit.dicom import Checks, SeriesRefused
from covidlit.errors import ConfigError, CovidlitError, fault_reason
from covidlit.override_notes import with_notes
from covidlit.preprocess import Geometry, prepare_scan
from covidlit.run_record import RunRecord, class_of_interest
from covidlit.scan_sources import ScanSource, find_scans

if TYPE_CHECKING:
    from covidlit.tasks import BaseTask

COLUMNS = (
    "scan_id", "path", "series_uid", "score", "predicted_class", "operating_point", "status",
    "reason", "notes", "synthetic", "trained_on_synthetic",
)  # fmt: skip
_AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def predict(
    checkpoint: str | Path,
    path: str | Path,
    *,
    strict: bool = False,
    batch_size: int = 1,
    device: str = "auto",
    override: Iterable[str] = (),
    progress: bool = False,
) -> pd.DataFrame:
    """Score every scan at a path with the network of a checkpoint.

    Geometry, HU window, overridden checks and precision are those of the run that wrote the
    checkpoint, so a scan of its test part gets the score that it got there. Memory: one source
    scan and `batch_size` prepared ones.

    Args:
        checkpoint: of `covidlit train`.
        path: a folder with DICOM series (or images), one image or DICOM file, or a manifest.
        strict: raise after the last scan if any was refused.
        batch_size: scans that go through the network together.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
        override: names of further DICOM checks to switch off.
        progress: show a progress bar.

    Returns:
        One row per series or file: `scan_id` (empty for an image that no manifest names), `path`,
        `series_uid` (a pseudonym), `score` (of the positive class), `score_<class>` where the run
        has more than two classes, `predicted_class` ("positive" from the checkpoint's operating
        point on, else "negative"; null where it has none; with more classes the most probable
        one), `operating_point` (null where the checkpoint has none, or more classes), `status`
        ("ok" or "refused"), `reason`, `notes` (what was done to the scan on the way in, such as a
        check that was overridden and would have refused it), `synthetic` (what a manifest says of
        the scan; null where nothing does), `trained_on_synthetic` (of the network: its scores then
        mean nothing for patients).

    Raises:
        CheckpointError: the checkpoint is missing, damaged, untrusted or of another model.
        CovidlitError: no such path, no scan there, or (strict) a scan was refused.
        ConfigError: an argument out of its range.
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1, got {batch_size}.", where="batch_size")
    record = read_record(load_checkpoint(checkpoint), checkpoint)
    network = _Network(load_task(checkpoint), record, _device(device))
    preparation = record.preprocess
    overridden = frozenset(preparation.override_checks) | frozenset(override)
    checks = Checks(preparation.min_slices, overridden)
    sources = find_scans(path, checks)
    rows: list[dict[str, Any]] = []
    with _progress_bar(len(sources), progress) as advance:
        prepared = _prepare_all(sources, record, rows, advance)
        while batch := list(islice(prepared, batch_size)):
            scores = network.scores(torch.stack([image for _, image in batch]))
            for (row, _), score in zip(batch, scores, strict=True):
                row |= _columns_of(score, record)
    classes = [f"score_{name}" for name in record.classes] if len(record.classes) > 2 else []
    columns = [*COLUMNS[:4], *classes, *COLUMNS[4:]]
    table = pd.DataFrame(rows, columns=columns)
    for name in ("scan_id", "path", "series_uid", "predicted_class", "status", "reason", "notes"):
        table[name] = table[name].astype("string")
    for name in ("score", *classes):
        table[name] = table[name].astype("float64")
    point = None if classes else record.operating_point
    table["operating_point"] = pd.Series(point, index=table.index, dtype="float64")
    table["synthetic"] = table["synthetic"].astype("boolean")
    table["trained_on_synthetic"] = record.synthetic
    if strict:
        require_all(table, path)
    return table


def require_all(table: pd.DataFrame, where: object) -> None:
    """Raise a CovidlitError that names the refused scans of a table of scores, if there are any."""
    refused = table[table["status"] == "refused"]
    if refused.empty:
        return
    named = [f"{row.path} ({row.reason})" for row in refused.head(5).itertuples()]
    more = f" and {len(refused) - 5} more" if len(refused) > 5 else ""
    raise CovidlitError(
        f"{len(refused)} of {len(table)} scans or files were refused: {'; '.join(named)}{more}.",
        where=where,
        fix="mend or remove them, override the check, or leave strict off.",
    )


class _Network:
    """A trained task on a device, in the precision of its run."""

    def __init__(self, task: BaseTask, record: RunRecord, device: torch.device) -> None:
        self.task = task.to(device)
        self.device = device
        precision = str(record.config.get("trainer", {}).get("precision", "32-true"))
        self.dtype = _AUTOCAST.get(precision)

    @torch.inference_mode()
    def scores(self, images: Tensor) -> list[Any]:
        """Of each image (B, 1, z, y, x): the score, or the list of one score per class."""
        cast = torch.autocast(self.device.type, self.dtype) if self.dtype else nullcontext()
        with cast:
            batch = {"image": images.to(self.device), "scan_id": [""] * len(images)}
            return self.task.predict_step(batch, 0)["score"].double().tolist()


def _prepare_all(
    sources: Sequence[ScanSource], record: RunRecord, rows: list[dict[str, Any]], advance: Any
) -> Iterator[tuple[dict[str, Any], Tensor]]:
    """Read and prepare one scan after the other; appends to `rows` and yields those that went."""
    from covidlit.datamodules.volume_dataset import apply_window

    wanted = record.preprocess
    geometry = Geometry(wanted.geometry.spacing, wanted.geometry.size)
    for source in sources:
        row: dict[str, Any] = {
            name: getattr(source, name) for name in ("scan_id", "path", "series_uid", "synthetic")
        }
        rows.append(row)
        image, reason = None, source.reason
        if source.read is not None:
            try:
                image = prepare_scan(
                    with_notes(source.read(), row, wanted.override_checks), geometry
                ).array
            except SeriesRefused as error:
                reason = error.verdict.reason
            except CovidlitError as error:
                reason = error.what
            except (OSError, MemoryError) as error:
                reason = f"cannot be read: {getattr(error, 'strerror', None) or error!r}."
            except Exception as error:
                reason = fault_reason(error)  # one odd file must not cost the scores of all others
        if image is None:
            row |= {"status": "refused", "reason": reason}
        else:
            row |= {"status": "ok"}
            yield row, apply_window(torch.from_numpy(image)[None], wanted.window)
        advance()


def _columns_of(score: Any, record: RunRecord) -> dict[str, Any]:
    """The columns that a scan's score, or the list of one per class, fills in."""
    if not np.isfinite(score).all():
        return {"status": "refused", "reason": "the network gave no finite score"}
    if isinstance(score, float):
        point = record.operating_point
        if point is None:
            return {"score": score}
        return {"score": score, "predicted_class": "positive" if score >= point else "negative"}
    classes = record.classes or [str(index) for index in range(len(score))]
    columns: dict[str, Any] = {
        f"score_{name}": value for name, value in zip(classes, score, strict=True)
    }
    columns["score"] = columns[f"score_{class_of_interest(classes)}"]
    columns["predicted_class"] = classes[max(range(len(score)), key=score.__getitem__)]
    return columns


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # meta holds no numbers
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"there is no device {name!r} here: {reason}", where="device", fix="use auto or cpu."
        ) from error
    return device


def _progress_bar(total: int, show: bool) -> Any:
    from contextlib import contextmanager

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    @contextmanager
    def bar() -> Iterator[Any]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
        with Progress(*columns, disable=not show) as shown:
            task = shown.add_task("Scoring scans", total=total)
            yield lambda: shown.advance(task)

    return bar()
