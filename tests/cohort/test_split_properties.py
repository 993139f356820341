"""What every split promises, over random tables: strata of one patient, several scans a patient."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covidlit.cohort import Split, centre_held_out, check_leakage, patient_k_fold
from covidlit.cohort.development import development_fold

CLASSES, CENTRES = ("covid", "cap", "np"), ("a", "b", "a / b")


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Manifests of patients with one to three scans, which may be of several classes and centres.

    Three patients or more are of each target, so that every fold has both to train on.
    """
    place = st.tuples(st.sampled_from(CLASSES), st.sampled_from(CENTRES))
    patients = draw(st.lists(st.lists(place, min_size=1, max_size=3), max_size=34))
    for name in ("covid", "cap"):
        patients += [[(name, draw(st.sampled_from(CENTRES)))] for _ in range(3)]
    rows = [
        (f"P{i}", f"S{i}.{j}", name, centre, int(name == "covid"))
        for i, scans in enumerate(patients)
        for j, (name, centre) in enumerate(scans)
    ]
    columns = ["patient_id", "scan_id", "class_name", "centre", "target"]
    return pd.DataFrame(rows, columns=columns)


@st.composite
def tables_without_some_centres(draw: st.DrawFn) -> pd.DataFrame:
    """The same without the column `centre`, with empty places in it, or with it."""
    table = draw(tables())
    match draw(st.integers(0, 2)):
        case 0:
            return table.drop(columns="centre")
        case 1:
            return table.assign(centre=table["centre"].where(table["centre"] != "a"))
    return table


def patients_of(split: Split, table: pd.DataFrame, part: str) -> set[str]:
    return set(table.loc[table["scan_id"].map(split.parts) == part, "patient_id"])


def all_folds(table: pd.DataFrame, n_folds: int, fraction: float, seed: int = 0) -> list[Split]:
    return [patient_k_fold(table, n_folds, fold, fraction, seed) for fold in range(n_folds)]


@given(tables_without_some_centres(), st.integers(2, 7), st.floats(0, 0.95), st.integers(0, 3))
def test_folds_are_disjoint_cover_and_train_on_everyone(
    table: pd.DataFrame, n_folds: int, fraction: float, seed: int
) -> None:
    n_folds = min(n_folds, table["patient_id"].nunique())
    folds = all_folds(table, n_folds, fraction, seed)
    shuffled = table.sample(frac=1, random_state=seed)
    assert all_folds(shuffled, n_folds, fraction, seed) == folds
    everyone = set(table["patient_id"])
    tested: list[str] = []
    trained: set[str] = set()
    for split in folds:
        check_leakage(table, split)
        assert split.parts.keys() == set(table["scan_id"])
        tested += patients_of(split, table, "test")
        trained |= patients_of(split, table, "train")
        if not fraction:
            assert not split.scans("validation")
    assert sorted(tested) == sorted(everyone)
    if n_folds > 2 or not fraction:
        assert trained == everyone


@given(tables_without_some_centres(), st.integers(2, 6))
def test_folds_share_classes_and_their_centres_evenly(table: pd.DataFrame, n_folds: int) -> None:
    # A patient counts in the first of its classes and centres.
    strata = [name for name in ("class_name", "centre") if name in table]
    first = table.fillna({"centre": ""}).sort_values(strata).drop_duplicates("patient_id")
    first = first.set_index("patient_id")
    folds = all_folds(table, n_folds, 0.1)
    for by in (strata[:1], strata):
        groups = [
            first.loc[sorted(patients_of(s, table, "test"))].groupby(by).size() for s in folds
        ]
        counts = pd.concat(groups, axis=1).fillna(0)
        assert ((counts.max(axis=1) - counts.min(axis=1)) <= 1).all()


@given(tables(), st.floats(0, 0.95), st.integers(0, 3))
def test_held_out_centres_are_disjoint_and_cover(
    table: pd.DataFrame, fraction: float, seed: int
) -> None:
    # Nobody in a held-out centre and in another, and both targets in training.
    table["centre"] = table.groupby("patient_id")["centre"].transform("min")
    table.loc[table["patient_id"] == table["patient_id"].iloc[0], "centre"] = "held out"
    table = table[(table["centre"] == "held out") | (table["centre"] != "b")]
    both = [(f"{name}{i}", f"{name}{i}", name, "c", int(name == "covid"))
            for name in ("covid", "np") for i in range(2)]  # fmt: skip
    table = pd.concat([table, pd.DataFrame(both, columns=table.columns)], ignore_index=True)
    split = centre_held_out(table, "held out", fraction, seed)
    check_leakage(table, split)
    assert split.parts.keys() == set(table["scan_id"])
    assert set(split.scans("test")) == set(table.loc[table["centre"] == "held out", "scan_id"])
    shuffled = table.sample(frac=1, random_state=seed)
    assert centre_held_out(shuffled, "held out", fraction, seed) == split


def cohort_of(n: int) -> pd.DataFrame:
    """`n` patients with one scan each, of three classes and two centres."""
    names = [CLASSES[i % 3] for i in range(n)]
    ids = pd.Series(range(n)).astype(str)
    return pd.DataFrame(
        {
            "patient_id": "P" + ids,
            "scan_id": "S" + ids,
            "class_name": names,
            "centre": [CENTRES[i // 3 % 2] for i in range(n)],
            "target": [int(name == "covid") for name in names],
        }
    )


@pytest.mark.parametrize(("n_folds", "fraction"), [(10, 0.1), (5, 0.1), (5, 0.3), (3, 0.2)])
def test_validation_parts_overlap_less_than_independent_draws(
    n_folds: int, fraction: float
) -> None:
    table = cohort_of(400)
    parts = [set(split.scans("validation")) for split in all_folds(table, n_folds, fraction)]
    overlap = [len(one & other) / len(one | other) for one, other in combinations(parts, 2)]
    # Two independent draws of a share p have p * p in common, of p + p - p * p together.
    share = np.mean([len(part) for part in parts]) / len(table)
    assert share == pytest.approx(fraction * (1 - 1 / n_folds), abs=0.02)
    assert np.mean(overlap) <= share / (2 - share)


def test_small_strata_take_turns_in_validation() -> None:
    """Two patients of a class in ten folds: each validates in half of those that test neither."""
    table = pd.concat([cohort_of(60), cohort_of(2).assign(class_name="rare")], ignore_index=True)
    table["scan_id"] = table["patient_id"] = [f"P{i}" for i in range(62)]
    table.loc[60:, "centre"] = "a"
    chosen = [set(split.scans("validation")) for split in all_folds(table, 10, 0.1)]
    assert [sum(scan in part for part in chosen) for scan in ("P60", "P61")] == [4, 4]


@pytest.mark.parametrize("fold", range(3))
def test_folds_of_a_development_part_validate_everyone_once(fold: int) -> None:
    table = cohort_of(100)
    whole = patient_k_fold(table, 3, fold)
    developed = [development_fold(whole, table, 5, inner) for inner in range(5)]
    validated = [scan for split in developed for scan in split.scans("validation")]
    trained = {scan for split in developed for scan in split.scans("train")}
    assert sorted(validated) == sorted(trained) == sorted(whole.parts.keys() - whole.scans("test"))
