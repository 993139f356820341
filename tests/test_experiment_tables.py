"""The AUCs in the READMEs of experiments are those that their runs wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
QUICKSTART, WEAK = EXPERIMENTS / "quickstart", EXPERIMENTS / "weak_labels"
FILES = {"settle": "settled", "rehearse": "rehearsed", "report": "results"}
INTERVAL = re.compile(r"(\d\.\d+) \((\d\.\d+) to (\d\.\d+)\)")
MEASURES = ("AUC (95% CI)", "AUC, lower end (95% CI)", "AUC, upper end (95% CI)")
Aucs = dict[tuple[str, int], list[float]]


def figures(path: Path) -> dict[str, float]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return {figure["figure"]: figure["value"] for figure in content["figures"]}


def seed_aucs(name: str) -> Aucs:
    """AUC, lower and upper end by cohort seed and scans, of a file of the quickstart."""
    found: Aucs = {}
    for text, value in figures(QUICKSTART / f"{name}.json").items():
        one = re.fullmatch(r"(.+), synthetic cohort seed (\d+), held-out centre, (\d+) scans", text)
        if one and one[1] in MEASURES:
            ends = found.setdefault((one[2], int(one[3])), [float("nan")] * 3)
            ends[MEASURES.index(one[1])] = value
    return found


def cells_of(folder: Path, n_cells: int) -> list[list[str]]:
    """The rows below the head of a README's one table of so many columns, without bold's signs."""
    text = (folder / "README.md").read_text(encoding="utf-8").replace("**", "")
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row] for row in rows if len(row) == n_cells]
    assert sum(set("".join(row)) == {"-"} for row in cells) == 1
    return cells[2:]


def assert_shown(shown: str, value: float) -> None:
    """A number is the rounded value; of one that ends in 5 either neighbour."""
    half = 0.5 * 10.0 ** -len(shown.partition(".")[2])
    assert float(shown) == pytest.approx(value, rel=0, abs=half + 1e-9)


def test_the_quickstart_table_holds_what_its_runs_wrote() -> None:
    known = {
        (step, *key): values for step, name in FILES.items() for key, values in
        seed_aucs(name).items()
    }  # fmt: skip
    rows = cells_of(QUICKSTART, 4)
    assert {(step, seed, int(n)) for step, seed, n, _ in rows} == set(known)
    assert len(rows) == len(known)
    for step, seed, n, auc in rows:
        shown = INTERVAL.fullmatch(auc)
        assert shown is not None, auc
        for text, value in zip(shown.groups(), known[step, seed, int(n)], strict=True):
            assert_shown(text, value)


def test_the_first_quickstart_is_told_as_its_runs_wrote_it() -> None:
    text = (QUICKSTART / "README.md").read_text(encoding="utf-8")
    shown = re.search(rf"seed 11 reached {INTERVAL.pattern}", text)
    assert shown is not None
    for number, value in zip(shown.groups(), seed_aucs("first_report")["11", 505], strict=True):
        assert_shown(number, value)
    settled = re.search(r"on seeds 0 to 2: (\d\.\d+), (\d\.\d+) and (\d\.\d+)\.", text)
    assert settled is not None
    for seed, number in enumerate(settled.groups()):
        assert_shown(number, seed_aucs("first_settled")[str(seed), 158][0])


def test_the_weak_label_table_holds_what_its_runs_wrote() -> None:
    known: dict[str, list[float]] = {}
    for text, value in figures(WEAK / "results.json").items():
        one = re.match(r"AUC, (.+); 95% CI (\d\.\d+) to (\d\.\d+); ", text)
        if one:
            known[one[1]] = [value, float(one[2]), float(one[3])]
    rows = cells_of(WEAK, 2)
    assert sorted(name for name, _ in rows) == sorted(known)
    for name, auc in rows:
        shown = INTERVAL.fullmatch(auc)
        assert shown is not None, auc
        for number, value in zip(shown.groups(), known[name], strict=True):
            assert_shown(number, value)


def test_the_learning_recipe_table_holds_what_its_runs_wrote() -> None:
    folder, known = EXPERIMENTS / "learning_recipe", {}
    for step, name in {
        "develop": "developed", "bfloat16": "bfloat16", "demo": "demo", "report": "results"
    }.items():  # fmt: skip
        for text, value in figures(folder / f"{name}.json").items():
            one = re.match(
                r"AUC, (\w+), cohort seed (\d+), network seed (\d+); 95% CI (\S+) to (\S+);", text
            )
            if one:
                known[step, *one.groups()[:3]] = (value, float(one[4]), float(one[5]))
    rows = cells_of(folder, 5)
    assert len(rows) == len(known) > 0
    for *key, auc in rows:
        shown = INTERVAL.fullmatch(auc)
        assert shown is not None, auc
        for text, value in zip(shown.groups(), known[tuple(key)], strict=True):
            assert_shown(text, value)


def test_the_changes_one_by_one_are_told_as_their_runs_wrote_them() -> None:
    folder = EXPERIMENTS / "learning_recipe"
    known = figures(folder / "explored.json")
    rows = cells_of(folder, 4)
    assert len(rows) == sum(text.startswith("AUC") for text in known) > 0
    for name, _, auc, seconds in rows:
        words, value = next(pair for pair in known.items() if pair[0].startswith(f"AUC, {name},"))
        interval = re.search(r"CI (\S+) to (\S+);", words)
        shown = INTERVAL.fullmatch(auc)
        assert shown is not None
        assert interval is not None
        for text, number in zip(
            shown.groups(), [value, *map(float, interval.groups())], strict=True
        ):
            assert_shown(text, number)
        reached = f"processor seconds to a validation AUC of 0.90 that stays, {name}"
        missed = seconds.startswith("not in ")
        assert_shown(
            seconds.removeprefix("not in "),
            known[f"{reached}: not reached in" if missed else reached],
        )


def test_the_learning_recipe_tells_what_its_files_hold() -> None:
    folder = EXPERIMENTS / "learning_recipe"
    text = (folder / "README.md").read_text(encoding="utf-8").replace("**", "")
    told = (
        ("bfloat16", "processor time of a training", r"costs (\S+) of the processor time"),
        ("results", "gain in AUC", r"it gains (\S+) of AUC \(95% interval (\S+) to (\S+) over"),
        ("developed", "processor time", r"that stays takes (\S+) of the processor time"),
        (
            "heat",
            "hit rate, new minus",
            r"mean difference (\S+) \(95% interval (\S+) to (\S+) over",
        ),
    )
    for name, start, sentence in told:
        known = figures(folder / f"{name}.json")
        words, value = next(pair for pair in known.items() if pair[0].startswith(start))
        interval = re.search(r"95% interval (\S+) to (\S+) over", words)
        found = re.search(sentence, text)
        assert found is not None, sentence
        numbers = [value, *(map(float, interval.groups()) if interval else ())]
        for shown, number in zip(found.groups(), numbers, strict=True):
            assert_shown(shown, number)


def test_equal_operations_are_told_as_their_runs_wrote_them() -> None:
    folder = EXPERIMENTS / "equal_operations"
    tuned, known = figures(folder / "tuned.json"), figures(folder / "results.json")
    rates = ("0.001", "0.002", "0.004", "0.008", "0.016", "0.032")
    shapes = cells_of(folder, 8)
    assert len(shapes) * (len(rates) + 1) == len(tuned)
    for shape, operations, *aucs in shapes:
        assert_shown(operations, tuned[f"10^9 operations of one volume, {shape}"])
        for rate, auc in zip(rates, aucs, strict=True):
            start = f"AUC, {shape}_{rate}, "
            assert_shown(auc, next(v for text, v in tuned.items() if text.startswith(start)))
    rows = cells_of(folder, 4)
    assert len(rows) == sum("cohort seed" in text for text in known) > 0
    for network, cohort, seed, auc in rows:
        start = f"AUC, {network}, cohort seed {cohort}, network seed {seed}; 95% CI "
        words, value = next(pair for pair in known.items() if pair[0].startswith(start))
        assert auc == f"{auc.split()[0]} ({words.removeprefix(start).split(';')[0]})"
        assert_shown(auc.split()[0], value)
    text = (folder / "README.md").read_text(encoding="utf-8").replace("**", "")
    for name, peer in (("ResNet3D", "resnet3d"), ("DenseNet3D", "densenet3d")):
        words, value = next(pair for pair in known.items() if f"minus {peer}" in pair[0])
        ends = re.search(r"interval (\S+) to (\S+) over", words)
        told = re.search(
            rf"CSAC-Net minus {name} (?:is )?(\S+) \((?:95% interval )?(\S+) to ([\d.]+)", text
        )
        assert ends is not None
        assert told is not None
        for shown, number in zip(told.groups(), [value, *map(float, ends.groups())], strict=True):
            assert_shown(shown, number)
    seconds = [known[f"processor seconds of a training, {name}, median of 6"]
               for name in ("csacnet", "resnet3d", "densenet3d")]  # fmt: skip
    told = re.search(r"took (\d+) processor seconds with CSAC-Net, (\d+) .*? and (\d+) with", text)
    assert told is not None
    for shown, number in zip(told.groups(), seconds, strict=True):
        assert_shown(shown, number)


def test_the_pruning_study_tells_what_its_replay_gave() -> None:
    folder = EXPERIMENTS / "sweep_csacnet"
    known = figures(folder / "results.json")
    text = (folder / "README.md").read_text(encoding="utf-8").replace("**", "")

    def of(start: str) -> tuple[str, float]:
        return next((name, value) for name, value in known.items() if name.startswith(start))

    shown = re.search(
        r"Hyperband, replayed.*: (\d+)% saved on average, but (\d\.\d+) of the best value", text
    )
    assert shown is not None
    assert_shown(shown[1], 100 * of("epochs saved by hyperband,")[1])
    assert_shown(shown[2], of("best value lost by hyperband,")[1])
    median = re.search(r"The median rule, replayed: nothing lost, but (\d+)% saved", text)
    assert median is not None
    assert_shown(median[1], 100 * of("epochs saved by median,")[1])
    assert of("best value lost by median,")[1] == 0


def test_the_pruning_study_tells_what_its_rules_gave_on_all_sweeps() -> None:
    folder = EXPERIMENTS / "sweep_csacnet"
    text = (folder / "README.md").read_text(encoding="utf-8").replace("**", "")
    given = json.loads((folder / "rules.json").read_text(encoding="utf-8"))
    sweeps = [given[name]["rules"] for name in ("unpruned", "fresh", "today")]
    no_loss = [rule for rule in sweeps[0] if all(rules[rule]["lost"] == 0 for rules in sweeps)]
    assert no_loss == ["median, from epoch 8", "median, from epoch 9", "median, from epoch 11"]
    assert all(rules[rule]["saved"] < 0.4 for rule in no_loss for rules in sweeps)
    for words, rule, numbers in (
        (r"the eighth it saved (\d+)%, (\d+)% and (\d+)%", no_loss[0],
         [100 * rules[no_loss[0]]["saved"] for rules in sweeps]),
        (r"not hold: (\d+)% saved and (\S+) lost .* but (\S+) lost on `fresh` and (\S+) on",
         "narrowing", [100 * sweeps[0]["narrowing"]["saved"],
                       *(rules["narrowing"]["lost"] for rules in sweeps)]),
        (r"median rule on `today`: (\d+)% saved, (\d\.\d+) lost", "median",
         [100 * sweeps[2]["median"]["saved"], sweeps[2]["median"]["lost"]]),
    ):  # fmt: skip
        told = re.search(words, text)
        assert told is not None, rule
        for shown, number in zip(told.groups(), numbers, strict=True):
            assert_shown(shown, number)
    for name, epoch, words in (
        ("fresh", 9, "the last of 24 after 9 of 16 epochs"),
        ("today", 5, "the 28th of 30 after 5"),
    ):
        trials = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["trials"]
        best = max(trials, key=lambda trial: trial["value"])
        ahead = sum(t["reports"][epoch - 1] > best["reports"][epoch - 1] for t in trials)
        assert (ahead + 1, len(trials)) == {"fresh": (24, 24), "today": (28, 30)}[name]
        assert words in text


def test_narrower_networks_are_told_as_their_runs_wrote_them() -> None:
    folder = EXPERIMENTS / "equal_operations"
    known = figures(folder / "narrow.json") | figures(EXPERIMENTS / "learning_recipe/explored.json")
    known |= figures(EXPERIMENTS / "learning_recipe/developed.json")
    text = (folder / "README.md").read_text(encoding="utf-8").replace("**", "")
    told = re.search(
        r"width 6 over 24 epochs has (\S+), (\S+) and (\S+), width 4 over 40 epochs (\S+), (\S+) "
        r"and (\S+), where width 8 over 16 epochs has (\S+), (\S+) and (\d\.\d+);",
        text,
    )
    assert told is not None
    names = ("width_6", "width_4", "new")
    values = [
        next(v for k, v in known.items() if k.startswith(f"AUC, {name}, cohort seed {c}, network"))
        for name in names
        for c in (0, 1, 2)
    ]
    for shown, value in zip(told.groups(), values, strict=True):
        assert_shown(shown, value)
    for width in (6, 4):
        shown = re.search(
            rf"width {width} minus width 8 (?:is )?(\S+) \((\S+) to (-?\d\.\d+)", text
        )
        words, value = next(
            p for p in known.items() if p[0].startswith(f"AUC, width {width} minus")
        )
        ends = re.search(r"interval (\S+) to (\S+) over", words)
        assert shown is not None
        assert ends is not None
        for one, number in zip(shown.groups(), [value, *map(float, ends.groups())], strict=True):
            assert_shown(one, number)
