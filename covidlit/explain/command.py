"""What `covidlit explain` does: from a checkpoint and scans to files, checks and a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.checkpoints.file import load_checkpoint, read_record
from covidlit.checkpoints.record import RunRecord
from covidlit.checkpoints.weights import weights_hash
from covidlit.cohort.scan_sources import ScanSource, find_scans
from covidlit.deploy.known_targets import known_targets
from covidlit.deploy.score_text import point_text, score_texts
from covidlit.deploy.torch_engine import find_device
from covidlit.dicom import Checks
from covidlit.errors import ConfigError, CovidlitError
from covidlit.explain.evaluation import evaluate_heatmaps
from covidlit.explain.explain import default_layer
from covidlit.explain.explain_error import ExplainError
from covidlit.explain.gallery import Picture, choose_cases, colour_sentence
from covidlit.explain.heat_files import KNOWN_BY, TABLE
from covidlit.explain.layers import layer_of
from covidlit.explain.many import explain_scans
from covidlit.explain.methods import METHODS
from covidlit.explain.page import render_page
from covidlit.explain.run_sources import (
    RunScans,
    checkpoint_of,
    datamodule_of,
    find_scale,
    positive_target,
    run_of,
    scans_of,
)
from covidlit.explain.sanity import Sanity, randomisation_check
from covidlit.explain.scale import store_scale, stored_scale
from covidlit.explain.truth import Truth
from covidlit.explain.write import HeatmapWriter, load_classification
from covidlit.files import check_own_json, check_own_page, write_json, write_text
from covidlit.preprocess import prepare_scan
from covidlit.tables import check_own_table

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.datamodules import VolumeDataModule

PAGE, CHECKS = "explain.html", "localisation.json"
N_SANITY = 8
"""Scans of the model-randomisation check: those with the highest scores."""

N_SHOWN = 8
"""Scans in the gallery where no targets are known: those with the most heat."""


@dataclass(frozen=True)
class ExplainResult:
    """What `covidlit explain` wrote and found.

    Args:
        table: `heatmaps.csv`.
        page: `explain.html`.
        sentences: the results of the checks in words.
    """

    table: pd.DataFrame
    page: Path
    sentences: list[str] = field(default_factory=list)

    @property
    def n_written(self) -> int:
        return int((self.table["status"] == "ok").sum())

    @property
    def n_refused(self) -> int:
        return len(self.table) - self.n_written


def explain_command(
    checkpoint: Path,
    path: Path | None,
    out: Path,
    *,
    part: str = "test",
    layer: str | None = None,
    method: str | None = None,
    truth: Path | None = None,
    n_slices: int = 3,
    scale: float | None = None,
    limit: int | None = None,
    device: str = "auto",
    expect: Callable[[int], object] = lambda total: None,
    done: Callable[[], object] = lambda: None,
) -> ExplainResult:
    """Write heatmaps, `heatmaps.csv`, `localisation.json` and `explain.html`; see the command.

    Beside the checks of `evaluate_heatmaps`, `localisation.json` says what they were made of:
    `checkpoint` (`weights_hash`, that of its `state_dict`, and `split_hash`), `method`, `layer`,
    `part` (null for scans at a path) and `n_scans`, the heatmaps made.

    Args:
        checkpoint: a checkpoint, or the folder of a run. In the folder of a run, a checkpoint
            stands for the run with these weights.
        path: of the scans; None: those of the run's `part`.
        out: folder, made if needed.
        truth: folder of lesion labels or masks, or one mask; see `covidlit.explain.truth`.
        expect: called with the number of scans before the first one.
        done: called after each scan.

    Raises:
        CovidlitError: what the user asked for is not there or does not fit.
    """
    check_own_page(out / PAGE, "covidlit explain", older="<title>Heatmaps</title>")
    check_own_json(out / CHECKS, ("sentences",), "covidlit explain")
    check_own_table(out / TABLE, KNOWN_BY, "covidlit explain")
    run_dir = checkpoint if checkpoint.is_dir() else run_of(checkpoint)
    if checkpoint.is_dir():
        checkpoint = checkpoint_of(checkpoint)
    elif path is None and run_dir is None and checkpoint.is_file():
        raise ConfigError(
            "a checkpoint outside of its run's folder does not say which scans to explain.",
            where=checkpoint,
            fix=f"give a path, `covidlit explain {checkpoint} SCANS`, or the folder of the run, "
            "`covidlit explain RUN`.",
        )
    known_lesions = None if truth is None else Truth(truth)
    record = read_record(load_checkpoint(checkpoint), checkpoint)
    task = load_classification(checkpoint)
    layer, method = layer or default_layer(task.net), method or METHODS[0]
    layer_of(task.net, layer)
    scans, unknown = RunScans([], {}, {}), ""
    scale = scale or stored_scale(record, layer, method)
    if run_dir is not None and (path is None or scale is None):
        datamodule = _datamodule(run_dir, record, checkpoint, layer, method, needed=path is None)
        if scale is None:
            scale = find_scale(task, datamodule, layer, method)
            store_scale(checkpoint, layer, method, scale)
        if path is None:
            scans = scans_of(datamodule, part, positive_target(task))
    if path is not None:
        known = known_targets(path, record, positive_target(task))
        scans = RunScans(find_scans(path, _checks(record)), known.targets, known.patients)
        unknown = known.problem
    sources = scans.sources[:limit]
    without = "" if known_lesions is None else known_lesions.check_covers(sources)
    expect(len(sources))
    writer = HeatmapWriter(
        checkpoint, out, layer=layer, method=method, scale=scale, n_slices=n_slices,
        device=find_device(device),
    )  # fmt: skip
    for name in (CHECKS, PAGE):
        (out / name).unlink(missing_ok=True)  # of an earlier call, maybe with other scans
    table = explain_scans(writer, sources, truth=known_lesions, done=done)
    point = 0.5 if record.operating_point is None else record.operating_point
    sanity = _sanity(writer, table, sources)
    checks = evaluate_heatmaps(
        table,
        targets=scans.targets,
        patients=scans.patients,
        operating_point=point,
        truth=known_lesions,
        sanity=sanity,
    )
    if known_lesions is not None:
        made = table[table["status"] == "ok"]
        masks = known_lesions.sentence(zip(made["scan_id"], made["path"], strict=True))
        checks["sentences"] = [*filter(None, (without, masks)), *checks["sentences"]]
    if unknown:
        checks["sentences"].insert(0, unknown)
    checks |= _provenance(writer, table, part if path is None else None)
    write_json(out / CHECKS, checks)
    page = render_page(
        title="Heatmaps",
        pictures=_pictures(out, table, scans.targets, point),
        colours=colour_sentence(layer, method, writer.scale, _checked(checks)),
        facts={
            "checkpoint": str(checkpoint), "scans": str(path or f"{part} part of {run_dir}"),
            "layer": layer, "method": method, "scale": f"{writer.scale:.4g}",
            "operating point": point_text(point, table["score"].astype(float)),
        },
        checks=checks,
        refused=_refused(table),
        synthetic=record.synthetic or any(source.synthetic for source in sources),
    )  # fmt: skip
    return ExplainResult(table, write_text(out / PAGE, page), checks["sentences"])


def _datamodule(
    run_dir: Path,
    record: RunRecord,
    checkpoint: Path,
    layer: str,
    method: str,
    *,
    needed: bool,
) -> VolumeDataModule:
    """The run's data; where only the scale is wanted of them, their lack is told as that."""
    try:
        return datamodule_of(run_dir, record.split_hash)
    except CovidlitError as error:
        if needed:
            raise
        raise ExplainError(
            f"the checkpoint has no scale for {method} at {layer}, and none can be found on the "
            f"run's own scans: {error.what}",
            where=checkpoint,
            fix="give a scale, --scale 1: the heat of the brightest colour.",
        ) from error


def _provenance(writer: HeatmapWriter, table: pd.DataFrame, part: str | None) -> dict[str, Any]:
    """What the checks were made of, so that they are not taken for another network's."""
    return {
        "checkpoint": {
            "weights_hash": weights_hash(writer.task.state_dict()),
            "split_hash": writer.record.split_hash,
        },
        "method": writer.method,
        "layer": writer.layer,
        "part": part,
        "n_scans": int((table["status"] == "ok").sum()),
    }


def _sanity(writer: HeatmapWriter, table: pd.DataFrame, sources: list[ScanSource]) -> Sanity | None:
    """The model-randomisation check on the scans with the highest scores."""
    best = table[table["status"] == "ok"].astype({"score": float}).nlargest(N_SANITY, "score")
    images = []
    for row in best.index:  # one row per source
        read = sources[row].read
        assert read is not None  # it was read before
        images.append(writer.input_of(prepare_scan(read(), writer.geometry)))
    if not images:
        return None
    return randomisation_check(writer.task.net, images, writer.map_of)


def _checked(checks: dict[str, Any]) -> list[str]:
    """The sentence of the gallery on what was checked; empty without masks."""
    if "true_positives" not in checks:
        return []
    rate = checks["true_positives"]["hit_rate"]
    if rate["value"] is None:
        return [f"Checked against lesion masks, see below; of true positives, {rate['reason']}."]
    return [
        f"Checked against lesion masks: in true positives the hottest point lay within "
        f"{checks['margin_mm']:g} mm of a lesion in {rate['count']} of {rate['n']}; see below."
    ]


def _pictures(
    out: Path, table: pd.DataFrame, targets: dict[str, int], point: float
) -> list[Picture]:
    rows = table[table["status"] == "ok"].astype({"score": float, "max": float})
    known = rows["scan_id"].map(targets)
    if known.notna().any():
        labelled = rows.assign(target=known, point=point)[known.notna()]
        chosen = choose_cases(labelled)
        groups = chosen["outcome"].str.capitalize() + "s"
    else:
        chosen = rows.nlargest(N_SHOWN, "max")
        groups = chosen["status"].map(lambda _: "Scans with the most heat")
    return [
        Picture(
            group,
            f"{row['scan_id'][:16]}, score {text}, largest heat {row['max']:.3g}",
            (out / row["png"]).read_bytes(),
        )
        for group, row, text in zip(
            groups,
            chosen.to_dict("records"),
            score_texts(chosen["score"].tolist(), point),
            strict=True,
        )
    ]


def _refused(table: pd.DataFrame) -> list[dict[str, str]]:
    """What has no heatmap and why; without paths, which may hold a name and stay off the page."""
    refused = table[table["status"] == "refused"]
    named = {f"row {row + 1} of {TABLE}": one for row, one in refused["scan_id"].items()}
    return [
        {"scan": one or row, "reason": str(reason)}
        for (row, one), reason in zip(named.items(), refused["reason"], strict=True)
    ]


def _checks(record: RunRecord) -> Checks:
    preparation = record.volume_input
    overridden = frozenset(preparation.override_checks)
    return Checks(preparation.min_slices, overridden, preparation.image_orientation)
