import json
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from covidlit.cohort import (
    Split,
    centre_held_out,
    check_leakage,
    from_column,
    from_file,
    patient_k_fold,
)
from covidlit.errors import SplitError


def parts_of(split: Split, manifest: pd.DataFrame) -> pd.DataFrame:
    return manifest.assign(part=manifest["scan_id"].map(split.parts))


def test_the_papers_split(paper_manifest: pd.DataFrame) -> None:
    split = centre_held_out(paper_manifest, ["centre_4"], validation_fraction=0)
    assert (len(split.scans("train")), len(split.scans("test"))) == (1538, 549)
    assert split.scans("validation") == []


def test_validation_takes_its_share_of_every_centre_and_class(paper_manifest: pd.DataFrame) -> None:
    table = parts_of(centre_held_out(paper_manifest, ["centre_4"], 0.1, seed=3), paper_manifest)
    assert set(table.query("centre == 'centre_4'")["part"]) == {"test"}
    for _, stratum in table.query("centre != 'centre_4'").groupby(["centre", "class_name"]):
        share = (stratum["part"] == "validation").mean()
        assert share == pytest.approx(0.1, abs=0.5 / len(stratum) + 1e-9)
        assert set(stratum["part"]) == {"train", "validation"}


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_validation_never_takes_all_patients_of_a_class_and_centre(fraction: float) -> None:
    rows = [
        (f"{centre}{name}{i}", centre, name, int(name == "covid"))
        for centre in "abc"
        for name, n in (("covid", 4), ("cap", 1), ("np", 1))
        for i in range(n)
    ]
    table = pd.DataFrame(rows, columns=["scan_id", "centre", "class_name", "target"])
    table = table.assign(patient_id=table["scan_id"])
    table = parts_of(centre_held_out(table, "c", fraction), table)
    trained = table[table["part"] == "train"].groupby("centre")["class_name"].unique()
    assert {centre: set(names) for centre, names in trained.items()} == {
        centre: {"cap", "covid", "np"} for centre in "ab"
    }


def test_centres_called_by_a_number_may_be_given_as_one(paper_manifest: pd.DataFrame) -> None:
    numbered = paper_manifest.assign(centre=paper_manifest["centre"].str[-1])
    expected = centre_held_out(numbered, ["4"]).parts
    assert centre_held_out(numbered, 4).parts == centre_held_out(numbered, [4]).parts == expected


def test_small_strata_give_one_patient_and_keep_one(manifest: pd.DataFrame) -> None:
    table = parts_of(centre_held_out(manifest, "centre_4", 0.01), manifest)
    for _, stratum in table.query("centre != 'centre_4'").groupby(["centre", "class_name"]):
        n = stratum.groupby("part")["patient_id"].nunique()
        alone = stratum["patient_id"].nunique() == 1
        assert n.to_dict() == ({"train": 1} if alone else {"train": n.sum() - 1, "validation": 1})


@pytest.mark.parametrize(
    "make",
    [
        partial(centre_held_out, test_centres=["centre_4"], validation_fraction=0.3),
        partial(centre_held_out, test_centres=["centre_1", "centre_2"]),
        *[partial(patient_k_fold, n_folds=4, fold=fold) for fold in range(4)],
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_patients_stay_in_one_part_and_the_order_of_rows_does_not_matter(
    manifest: pd.DataFrame, make: partial[Split], seed: int
) -> None:
    split = make(manifest, seed=seed)
    assert split.parts.keys() == set(manifest["scan_id"])
    assert parts_of(split, manifest).groupby("patient_id")["part"].nunique().max() == 1
    check_leakage(manifest, split)
    shuffled = make(manifest.sample(frac=1, random_state=5), seed=seed)
    assert shuffled == split
    assert shuffled.hash == split.hash
    # Another machine has another key, hence other pseudonyms, and must get the same split.
    renamed = manifest.assign(patient_id=["x" + p[::-1] for p in manifest["patient_id"]])
    assert make(renamed, seed=seed) == split


def test_the_seed_changes_the_split(paper_manifest: pd.DataFrame) -> None:
    one, two = (centre_held_out(paper_manifest, "centre_4", seed=seed) for seed in (0, 1))
    assert one.scans("validation") != two.scans("validation")
    assert one.hash != two.hash
    assert one.scans("test") == two.scans("test")


def test_folds_test_every_scan_once_and_keep_the_classes_balanced(manifest: pd.DataFrame) -> None:
    tested: list[str] = []
    for fold in range(4):
        split = patient_k_fold(manifest, 4, fold)
        assert split.fold == fold
        tested += split.scans("test")
        table = parts_of(split, manifest)
        # Six COVID-19 patients with two scans each, and so on, dealt to four folds.
        patients = table[table["part"] == "test"].drop_duplicates("patient_id")
        for name, n in manifest.drop_duplicates("patient_id")["class_name"].value_counts().items():
            assert n // 4 <= (patients["class_name"] == name).sum() <= -(-n // 4)
    assert sorted(tested) == sorted(manifest["scan_id"])


def test_rows_without_a_target_are_not_split(manifest: pd.DataFrame) -> None:
    manifest.loc[0, "target"] = pd.NA
    split = centre_held_out(manifest, "centre_4")
    assert len(split.parts) == 47
    split.check_fits(manifest)
    with pytest.raises(SplitError, match=r"no row with a target"):
        centre_held_out(manifest.assign(target=pd.NA), "centre_4")


def test_an_unknown_centre_is_answered_with_a_near_name(manifest: pd.DataFrame) -> None:
    with pytest.raises(SplitError, match=r"no centre 'center_4'.*did you mean 'centre_4'"):
        centre_held_out(manifest, ["center_4"])


@pytest.mark.parametrize("centres", [[], ["centre_1", "centre_2", "centre_3", "centre_4"]])
def test_some_centres_must_be_held_out_and_some_kept(
    manifest: pd.DataFrame, centres: list[str]
) -> None:
    with pytest.raises(SplitError, match=r"leaves no centre"):
        centre_held_out(manifest, centres)


def test_a_patient_of_two_centres_is_refused(manifest: pd.DataFrame) -> None:
    manifest.loc[47, "patient_id"] = manifest.loc[0, "patient_id"]
    with pytest.raises(SplitError, match=r"1 patient.*P00 in rows 1, 2, 48"):
        centre_held_out(manifest, "centre_4")


def test_a_training_part_of_one_class_is_refused(manifest: pd.DataFrame) -> None:
    with pytest.raises(SplitError, match=r"only target 0.*cap.*np.*centres=\[centre_1\] does"):
        centre_held_out(manifest, ["centre_1", "centre_4"])


def test_a_manifest_of_one_class_is_refused(manifest: pd.DataFrame) -> None:
    rest = manifest[manifest["target"] == 0].assign(mine="train")
    rest.loc[rest["centre"] == "centre_4", "mine"] = "test"
    for split in (
        lambda table: centre_held_out(table, "centre_4"),
        patient_k_fold,
        lambda table: from_column(table, "mine"),
    ):
        with pytest.raises(SplitError, match=r"only target 0.*all scans.*cap \(\d+\), np \(\d+\)"):
            split(rest)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_folds": 1}, "1 folds of 24"),
        ({"n_folds": 25}, "25 folds of 24"),
        ({"fold": 5}, "no fold 5"),
        ({"fold": -1}, "no fold -1"),
        ({"validation_fraction": 1.0}, "1.0 is not a share"),
    ],
)
def test_arguments_out_of_range(
    manifest: pd.DataFrame, arguments: dict[str, float], message: str
) -> None:
    with pytest.raises(SplitError, match=message):
        patient_k_fold(manifest, **arguments)  # type: ignore[arg-type]


def test_as_many_folds_as_patients(manifest: pd.DataFrame) -> None:
    split = patient_k_fold(manifest, 24, 7)
    assert len(split.scans("test")) == 2


def test_a_column_can_give_the_split(manifest: pd.DataFrame) -> None:
    manifest["mine"] = ["train"] * 24 + ["validation"] * 12 + ["test"] * 12
    split = from_column(manifest, "mine")
    assert split.scans("test") == [f"S{i}" for i in range(36, 48)]
    with pytest.raises(SplitError, match=r"no column 'yours'"):
        from_column(manifest, "yours")
    manifest.loc[3, "mine"] = "val"
    with pytest.raises(SplitError, match=r"row 4, column 'mine': value 'val'"):
        from_column(manifest, "mine")


def test_a_saved_split_comes_back(tmp_path: Path, manifest: pd.DataFrame) -> None:
    split = patient_k_fold(manifest, 3, 1, seed=4)
    assert from_file(manifest, split.save(tmp_path / "split.json")) == split
    kept = json.loads((tmp_path / "split.json").read_text())
    assert kept["hash"] == split.hash
    assert (kept["kind"], kept["seed"], kept["fold"]) == ("patient_k_fold", 4, 1)


def test_an_edited_split_is_refused(tmp_path: Path, manifest: pd.DataFrame) -> None:
    path = centre_held_out(manifest, "centre_4").save(tmp_path / "split.json")
    content = json.loads(path.read_text())
    content["parts"]["S47"] = "train"
    path.write_text(json.dumps(content))
    with pytest.raises(SplitError, match=r"hash .* does not match"):
        Split.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not a split"),
        ('{"kind": "x"}', "not a split"),
        (
            '{"kind": "x", "manifest_hash": "", "parts": {"a": "holdout"}}',
            "parts.a: value 'holdout'",
        ),
    ],
)
def test_a_file_that_is_no_split_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(content)
    with pytest.raises(SplitError, match=message):
        Split.load(path)
    with pytest.raises(SplitError, match=r"cannot be read"):
        Split.load(tmp_path / "absent.json")


def test_a_split_of_another_manifest_is_refused(manifest: pd.DataFrame) -> None:
    split = centre_held_out(manifest, "centre_4")
    split.check_fits(manifest.sample(frac=1))
    with pytest.raises(SplitError, match=r"1 scan of the split without a row in the manifest.*S00"):
        split.check_fits(manifest.iloc[1:])
    more = pd.concat([manifest, manifest.iloc[:1].assign(scan_id="new")])
    with pytest.raises(SplitError, match=r"1 scan of the manifest missing in the split.*new"):
        split.check_fits(more)
    for column, value in (("target", 0), ("patient_id", "P23")):
        with pytest.raises(SplitError, match=r"the patient or the target of some has changed"):
            split.check_fits(manifest.assign(**{column: [value, *manifest[column][1:]]}))


def test_an_unknown_part_is_named(manifest: pd.DataFrame) -> None:
    with pytest.raises(SplitError, match=r"no part 'val'"):
        centre_held_out(manifest, "centre_4").scans("val")  # type: ignore[arg-type]


def test_a_centre_that_is_not_known_cannot_be_held_out(manifest: pd.DataFrame) -> None:
    with pytest.raises(SplitError, match=r"the centre of no scan is known.*split=k_fold"):
        centre_held_out(manifest.drop(columns="centre"), "centre_4")
    manifest.loc[[3, 7], "centre"] = None
    with pytest.raises(SplitError, match=r"centre of 2 scans is not known \(rows 4, 8\)"):
        centre_held_out(manifest, "centre_4")
    assert patient_k_fold(manifest).parts.keys() == set(manifest["scan_id"])
