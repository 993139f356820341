"""The CLAIM sheet says what a run's files say, and nothing else."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import confusion_matrix

from covidlit.cards import ClaimItem, RunArtefacts, claim_sheet, model_card, read_run
from covidlit.cards.claim import ANSWERS, checklist
from covidlit.cards.run_artefacts import HEATMAPS
from covidlit.evaluation import read_predictions

# Mongan, Moy and Kahn 2020: how many items stand under each heading.
HEADINGS = {
    "Title / Abstract": 2,
    "Introduction": 2,
    "Methods · Study design": 2,
    "Methods · Data": 7,
    "Methods · Ground truth": 5,
    "Methods · Data partitions": 3,
    "Methods · Model": 3,
    "Methods · Training": 3,
    "Methods · Evaluation": 5,
    "Results · Data": 2,
    "Results · Model performance": 3,
    "Discussion": 2,
    "Other information": 3,
}
# Background, objectives, design, goal, reference standard, annotators, sample size, discussion,
# registration, protocol, funding.
FOR_A_PERSON = {2, 3, 4, 5, 6, 14, 15, 16, 17, 18, 19, 38, 39, 40, 41, 42}

STEP = {"criterion": "adults", "n_excluded": 9, "n_left": 31, "n_patients": 30}
CENTRES = [{"centre": "north", "train": 5, "validation": 0, "test": 2}]
WRONG = {"scan_id": "S7", "error": "missed", "class_name": "covid", "centre": "a"}
CHANGES: list[tuple[int, str, str, Any, str]] = [
    (1, "config.yaml", "model.task.net._target_", "my.package.Net", "network Net"),
    (7, "cohort.json", "n_patients", 4711, "4711 patients"),
    (7, "cohort.json", "scanners", [{"centre": "a", "scans": 3}], "scanner not stated"),
    (8, "cohort.json", "flow", [STEP], "adults"),
    (8, "config.yaml", "inclusion", {"min_spo2_percent": 95}, "min_spo2_percent 95"),
    (9, "config.yaml", "data.window", [-7, 8], "window -7 to 8 HU"),
    (9, "config.yaml", "data.geometry.spacing", [5, 1.5, 2], "5 x 1.5 x 2 mm"),
    (9, "cohort.json", "preprocess_format", 12, "format: 12."),
    (10, "config.yaml", "data.geometry.size", [1, 2, 3], "1 x 2 x 3 voxels"),
    (11, "config.yaml", "label_rule", {"_target_": "a.ByClass", "positive": ["flu"]}, "[flu]"),
    (13, "cohort.json", "missing", {"sex": 7}, "sex 7"),
    (13, "cohort.json", "refused", {"test": {"too dark": 2}}, "too dark: 2"),
    (20, "split.json", "parts", {"a": "train", "b": "test"}, "test: 1 of 2 scans (50.0%)"),
    (21, "cohort.json", "in_two_parts.images", {"compared": 9, "shared": 3}, "9 compared, 3 in"),
    (21, "cohort.json", "in_two_parts.patients.shared", 2, "The parts share patients."),
    (21, "cohort.json", "in_two_parts.series", None, "series: not compared"),
    (22, "checkpoint", "parameters", 1234567, "1,234,567"),
    (22, "checkpoint", "flops", 5_000_000_000, "5 GFLOPs"),
    (23, "metrics.json", "record.versions", {"torch": "9.9"}, "torch 9.9"),
    (24, "config.yaml", "model.task.net.pretrained", "/private/resnet.pth", "of resnet.pth"),
    (25, "hardware.json", "cores", 77, "77 cores"),
    (25, "config.yaml", "seed", 13, "Seed: 13."),
    (26, "metrics.json", "record.selected_on", "last epoch", "the last epoch"),
    (27, "metrics.json", "run.model", "forest", "one trained forest"),
    (28, "metrics.json", "operating_points", [{"sentence": "Fixed at 0.7."}], "Fixed at 0.7."),
    (29, "metrics.json", "settings.confidence", 0.9, "90% confidence"),
    (30, "metrics.json", "parts.test.refused.n", 8, "Refused test scans: 8 of"),
    (32, "cohort.json", "centres", CENTRES, "were trained on: north"),
    (33, "cohort.json", "flow", [STEP], "adults: 9 out, 31 scans of 30 patients left"),
    (34, "cohort.json", "table1", [{"characteristic": "Age", "test": "50"}], "Age: test 50"),
    (35, "metrics.json", "parts.test.n_scored", 999, "test (n = 999"),
    (36, "metrics.json", "parts.test.confusion.fn", 12, "12 false negative"),
    (36, "metrics.json", "parts.test.refused.n_positive", 6, "without a score 6 positive"),
    (37, "metrics.json", "parts.test.misclassified",
     [{**WRONG, "score": 0.25, "threshold": 0.5}], "S7: missed"),
]  # fmt: skip


@pytest.fixture(scope="module")
def run(csacnet_run: Path) -> RunArtefacts:
    return read_run(csacnet_run)


def changed(run: RunArtefacts, file: str, key: str, value: Any) -> RunArtefacts:
    files = copy.deepcopy(dict(run.files))
    *path, last = key.split(".")
    place = files.setdefault(file, {})
    for name in path:
        place = place[name]
    place[last] = value
    return RunArtefacts(run.folder, files)


def without(run: RunArtefacts, *names: str) -> RunArtefacts:
    return RunArtefacts(run.folder, {k: v for k, v in run.files.items() if k not in names})


def item(run: RunArtefacts, number: int) -> ClaimItem:
    return claim_sheet(run)[number - 1]


def test_every_number_stands_once_in_order_under_its_heading(run: RunArtefacts) -> None:
    items = claim_sheet(run)
    assert [one.number for one in items] == list(range(1, 43))
    assert Counter(one.section for one in items) == HEADINGS
    sections = [one.section for one in items]
    assert sections == sorted(sections, key=list(HEADINGS).index)
    assert all(entry["what"] for entry in checklist()["items"])


def test_what_needs_a_person_is_left_empty(run: RunArtefacts) -> None:
    items = claim_sheet(run)
    assert {one.number for one in items if one.status == "needs a person"} == FOR_A_PERSON
    for one in items:
        assert bool(one.answer) == bool(one.sources) == (one.status == "automatic")
        assert bool(one.reason) == (one.status == "missing")
        if one.status == "needs a person":
            assert one.person


def test_a_whole_run_lacks_only_heatmaps(run: RunArtefacts) -> None:
    assert [one.number for one in claim_sheet(run) if one.status == "missing"] == [31]


def with_heatmaps(run: RunArtefacts) -> RunArtefacts:
    content = {
        "checkpoint": {
            "split_hash": run.files["split.json"]["hash"],
            "weights_hash": run.files["checkpoint"]["weights_hash"],
        },
        "method": "gradcam", "layer": "layer_9", "part": "test", "n_scans": 7,
        "sentences": ["Hit in 9 of 10."],
    }  # fmt: skip
    return RunArtefacts(run.folder, {**run.files, HEATMAPS: content})


def test_of_folds_the_mean_is_the_headline_and_the_pooled_auc_stands_beside_it(
    run: RunArtefacts,
) -> None:
    mean = {"value": 0.81, "low": 0.7, "high": 0.9, "n": 9, "method": "mean of 3 folds"}
    pooled = {"value": 0.77, "low": 0.6, "high": 0.8, "n": 9, "method": "DeLong"}
    found = changed(changed(run, "metrics.json", "parts.test.auc", mean), "metrics.json",
                    "parts.test.auc_pooled", pooled)  # fmt: skip
    text = " ".join(item(found, 35).answer)
    assert "AUC (mean of the folds) 0.810 (0.700 to 0.900)" in text
    assert "AUC of the folds pooled 0.770 (0.600 to 0.800)" in text
    assert "AUC (mean of the folds) 0.810" in " ".join(item(found, 36).answer)
    assert "AUC (mean of the folds)" in model_card(found)
    assert "mean of the folds" not in " ".join(item(run, 35).answer)


def test_heatmaps_of_the_test_part_are_named_with_how_they_were_made(run: RunArtefacts) -> None:
    shown = item(with_heatmaps(run), 31)
    assert shown.status == "automatic"
    assert shown.answer[1:] == ("Hit in 9 of 10.",)
    n_test = run.files["metrics.json"]["parts"]["test"]["n_scans"]
    for text in ("gradcam", "layer_9", f"7 of the {n_test} scans of the test part"):
        assert text in shown.answer[0]
    assert f"{HEATMAPS}: checkpoint.split_hash" in shown.sources


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("checkpoint.split_hash", "of another", "a run with another split"),
        ("checkpoint.weights_hash", "of another", "of other weights than"),
        ("checkpoint", None, "does not say which run"),
        ("part", None, "given by a path"),
        ("part", "validation", "of the validation part"),
        ("sentences", [], "does not say how good they are"),
    ],
)
def test_heatmaps_of_other_scans_or_runs_count_as_missing(
    key: str, value: object, reason: str, run: RunArtefacts
) -> None:
    refused = item(changed(with_heatmaps(run), HEATMAPS, key, value), 31)
    assert refused.status == "missing"
    assert reason in refused.reason


@pytest.mark.parametrize(("number", "file", "key", "value", "text"), CHANGES)
def test_an_answer_follows_the_file_that_it_cites(
    number: int, file: str, key: str, value: Any, text: str, run: RunArtefacts
) -> None:
    before, after = item(run, number), item(changed(run, file, key, value), number)
    assert not any(text in line for line in before.answer)
    assert any(text in line for line in after.answer)
    if value is not None:
        shown = f"checkpoints/best.ckpt: {key}" if file == "checkpoint" else f"{file}: {key}"
        # A whole part of metrics.json is read at once.
        assert any(shown.startswith(source) for source in after.sources)


def test_every_answer_has_a_case_above() -> None:
    assert {case[0] for case in CHANGES} | {12, 31} == set(ANSWERS)


@pytest.mark.parametrize("number", sorted(set(ANSWERS) - {1, 12, 31}))
def test_without_its_files_an_item_is_missing(number: int, run: RunArtefacts) -> None:
    cited = {source.partition(":")[0] for source in item(run, number).sources}
    files = {"checkpoint" if name.startswith("checkpoints/") else name for name in cited}
    files -= {"config.yaml"} if files != {"config.yaml"} else set()
    lacking = item(without(run, *files), number)
    assert lacking.status == "missing"
    assert lacking.answer == ()
    assert any(name in lacking.reason for name in files)


def test_every_source_can_be_found_in_its_file(run: RunArtefacts) -> None:
    for one in claim_sheet(run):
        for source in one.sources:
            file, _, key = source.partition(": ")
            value: Any = run.files["checkpoint" if file.startswith("checkpoints/") else file]
            for name in key.split("."):
                assert isinstance(value, Mapping)
                value = value[name]
            assert value is not None


def test_the_table_of_two_by_two_is_that_of_the_predictions(
    run: RunArtefacts, csacnet_run: Path
) -> None:
    table = read_predictions(csacnet_run / "predictions.parquet")
    table = table[table["part"] == "test"]
    threshold = run.files["metrics.json"]["operating_points"][0]["threshold"]
    called = table["score"] >= threshold
    truth = table["target"].astype(int)
    (tn, fp), (fn, tp) = confusion_matrix(truth, called.astype(int), labels=[0, 1])
    said = [int(n) for n in re.findall(r"\d+", item(run, 36).answer[0])]
    assert said == [tp, fn, fp, tn, 0, 0]


def test_only_a_training_on_cuda_is_called_not_deterministic(run: RunArtefacts) -> None:
    def says(one: RunArtefacts) -> bool:
        return any("not deterministic" in line for line in item(one, 25).answer)

    assert not says(run)
    on_cuda = changed(run, "hardware.json", "accelerator", "cuda")
    assert says(on_cuda)
    # An average over each whole volume by mean() has no such backward pass.
    assert not says(changed(on_cuda, "checkpoint", "layers", {"Conv3d": 3}))


def test_a_held_out_centre_is_not_called_external(run: RunArtefacts) -> None:
    text = " ".join(item(run, 32).answer)
    assert text.startswith("External test: none.")
    assert "centre_4" in text
    assert "geographical" in text


def test_of_patients_only_a_person_knows_how_they_were_de_identified(run: RunArtefacts) -> None:
    assert item(run, 12).status == "automatic"
    for known in (0, 39, None):
        assert item(changed(run, "cohort.json", "n_synthetic", known), 12).answer == ()


def test_a_classical_model_is_described_by_what_its_run_recorded(run: RunArtefacts) -> None:
    classical = changed(
        run, "config.yaml", "model", {"classifier": {"_target_": "sklearn.svm.SVC"}}
    )
    facts = {"classifier": "SVC", "features": "93"}
    chosen = "folds of the training part"
    classical = changed(classical, "metrics.json", "record.selected_on", chosen)
    classical = without(changed(classical, "metrics.json", "record.model", facts), "checkpoint")
    assert "SVC on features" in item(classical, 1).answer[0]
    assert item(classical, 22).answer == ("classifier: SVC.", "features: 93.")
    assert {item(classical, number).status for number in range(22, 28)} == {"automatic"}
    assert item(classical, 31).status == "automatic"
    assert item(classical, 31).answer[0].startswith("Not applicable")
    assert item(classical, 26).answer == (f"The parameters were chosen on {chosen}.",)
    for one, imputes in ((classical, True), (run, False)):
        policy = item(one, 13).answer[-1]
        assert ("training scans' median" in policy) == imputes
        assert ("nothing is imputed" in policy) != imputes
    as_given = changed(classical, "metrics.json", "record.selected_on", None)
    assert "None was selected" in item(as_given, 26).answer[0]
