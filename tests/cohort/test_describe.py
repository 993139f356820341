import pandas as pd
import pytest

from covidlit.cohort import LabelRule, centre_held_out, show_table1, table1, table2
from covidlit.errors import ManifestError, SplitError


def test_table_1_of_the_papers_cohort_is_the_published_one(paper_manifest: pd.DataFrame) -> None:
    shown = show_table1(table1(paper_manifest))
    assert shown.drop(columns="all").to_numpy().tolist() == [
        ["591", "495", "452", "549"],
        ["325 (55%)", "246 (50%)", "237 (52%)", "269 (49%)"],
        ["50 (17)", "49 (19)", "45 (16)", "46 (19)"],
        ["355", "-", "-", "213"],
        ["127", "290", "165", "174"],
        ["109", "205", "287", "162"],
    ]
    assert shown["all"].tolist()[3:] == ["568", "756", "763"]
    assert shown.columns.tolist() == ["centre_1", "centre_2", "centre_3", "centre_4", "all"]


def test_table_2_of_the_papers_split_is_the_published_one(paper_manifest: pd.DataFrame) -> None:
    manifest = paper_manifest.assign(target=LabelRule().apply(paper_manifest))
    split = centre_held_out(manifest, ["centre_4"], validation_fraction=0)
    table = table2(manifest, split)
    # n, positive (initial), (multiple), bacterial, with mycoplasma, viral, mycoplasma,
    # nodule, other, healthy
    assert table.loc[("train", "covid")].tolist() == [355, 218, 137, 0, 0, 0, 0, 0, 0, 0]
    assert table.loc[("train", "cap")].tolist() == [582, 0, 0, 325, 79, 87, 91, 0, 0, 0]
    assert table.loc[("train", "np")].tolist() == [601, 0, 0, 0, 0, 0, 0, 200, 24, 377]
    assert table.loc[("test", "covid")].tolist() == [213, 132, 81, 0, 0, 0, 0, 0, 0, 0]
    assert table.loc[("test", "cap")].tolist() == [174, 0, 0, 90, 23, 31, 30, 0, 0, 0]
    assert table.loc[("test", "np")].tolist() == [162, 0, 0, 0, 0, 0, 0, 59, 6, 97]
    assert table["n"].groupby("part").sum().to_dict() == {"train": 1538, "test": 549}


def test_unknown_values_are_counted_not_guessed() -> None:
    table = pd.DataFrame(
        {
            "patient_id": ["a", "a", "b"],
            "scan_id": ["1", "2", "3"],
            "class_name": ["covid", "tumour", None],
            "centre": ["x", "x", "y"],
            "sex": ["F", None, None],
            "age": [40.0, 60.0, None],
            "status": ["ok", "refused", "ok"],
        }
    )
    numbers = table1(table)
    assert numbers.loc["female_percent", "x"] == 100
    assert numbers.loc["sex_missing"].tolist() == [1, 1, 2]
    assert numbers.loc["age_missing"].tolist() == [0, 1, 1]
    assert numbers.loc["refused"].tolist() == [1, 0, 1]
    assert numbers.loc["age_sd", "x"] == pytest.approx(200**0.5)  # sample SD of 40 and 60
    shown = show_table1(numbers)
    assert shown.loc["Patients"].tolist() == ["1", "-", "2"]
    assert shown.loc["Age, mean, years (SD)", "y"] == "-"
    assert shown.loc["tumour"].tolist() == ["1", "-", "1"]


def test_another_column_can_group_table_1(paper_manifest: pd.DataFrame) -> None:
    assert table1(paper_manifest, "sex").loc["n"].tolist() == [1077, 1010, 2087]
    with pytest.raises(ManifestError, match=r"no column 'hospital'.*centre"):
        table1(paper_manifest, "hospital")


def test_table_2_refuses_a_split_of_another_manifest(manifest: pd.DataFrame) -> None:
    split = centre_held_out(manifest, "centre_4")
    with pytest.raises(SplitError, match=r"another manifest"):
        table2(manifest.iloc[1:], split)
