"""Columns and classes of the labels that are spelt much like covidlit's own."""

from __future__ import annotations

import pandas as pd
import pytest

from covidlit.cohort import ByClass, InclusionCriteria, LabelRule, MultiClass, manifest_from_images
from covidlit.cohort.label_rule import TargetRule
from covidlit.cohort.labels_table import read_labels
from covidlit.cohort.misspelt import class_meant, refuse_misspelt_classes
from covidlit.errors import ManifestError

LABELS = pd.DataFrame(
    {
        "patient_id": ["a", "b", "c"],
        "class_name": ["covid", "np", "cap"],
        "centre": "A",
        "rtpcr_initial": ["positive", "negative", "negative"],
    }
)


@pytest.mark.parametrize(
    ("known", "written"),
    [
        ("rtpcr_initial", "rtpcr_inital"),
        ("class_name", "clas_name"),
        ("class_name", "Class Name"),
        ("centre", "center"),
        ("patient_id", "PatientID"),
    ],
)
def test_a_misspelt_column_is_refused_with_the_name_that_is_meant(known: str, written: str) -> None:
    labels = LABELS.assign(series_uid=["1", "2", "3"]).rename(columns={known: written})
    with pytest.raises(ManifestError, match=rf"'{written}': did you mean {known}\?") as error:
        read_labels(labels)
    assert f"--own-name {written}" in str(error.value) or " " in written
    assert written in read_labels(labels, own_names=[written]).table


def test_columns_of_other_kinds_are_nobody_s_misspelling() -> None:
    own = ["ward", "hospital_id", "study_id", "birth_year", "pat_name", "reader_comment", "spo"]
    assert set(own) < set(read_labels(LABELS.assign(**dict.fromkeys(own, "x"))).table)
    # Where the known column is there, another one like it is a column of its own.
    assert "rtpcr_initials" in read_labels(LABELS.assign(rtpcr_initials="x")).table


def test_a_misspelt_key_is_suggested() -> None:
    with pytest.raises(ManifestError, match=r"did you mean patient_id by 'patientid'\?"):
        read_labels(LABELS.rename(columns={"patient_id": "patientid"}))
    with pytest.raises(ManifestError, match=r"did you mean patient_id\?"):
        read_labels(LABELS, key="patientid")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("nnp", "np"), ("npp", "np"), ("pn", "np"), ("np1", "np"),
        ("cpa", "cap"), ("capp", "cap"), ("C.A.P.", "cap"),
        ("covd", "covid"), ("covud", "covid"), ("COVID-19", "covid"), ("coivd", "covid"),
        # Pneumonias, findings and groups of their own.
        ("hap", None), ("vap", None), ("cop", None), ("copd", None), ("vp", None), ("bp", None),
        ("n", None), ("non-covid", None), ("tumour", None), ("influenza", None), ("覚", None),
    ],
)  # fmt: skip
def test_which_known_class_is_meant(written: str, meant: str | None) -> None:
    assert class_meant(written) == meant


def test_misspelt_classes_are_refused_with_their_rows() -> None:
    table = pd.DataFrame({"class_name": ["np", "nnp", "covd", None, "nnp", "tumour"]})
    with pytest.raises(ManifestError) as error:
        refuse_misspelt_classes(table, (), "labels.csv")
    said = str(error.value)
    assert "'nnp' in 2 rows (2, 5): did you mean np?" in said
    assert "'covd' in 1 row (3): did you mean covid?" in said
    assert "--own-name nnp --own-name covd" in said
    assert "tumour" not in said
    with pytest.raises(ManifestError, match="'covd'"):
        refuse_misspelt_classes(table, ["nnp"], "labels.csv")
    refuse_misspelt_classes(table, ["nnp", "covd"], "labels.csv")


@pytest.mark.parametrize(
    ("rule", "missing"),
    [
        (LabelRule(), True),
        (ByClass(["covid"]), True),
        (MultiClass(["np", "ncp"]), False),  # a class that the rule names is meant
        (ByClass(["covid"], ["ncp"]), False),
        (None, True),
    ],
)
def test_labels_are_checked_before_any_scan_is_looked_for(
    rule: TargetRule | None, missing: bool, tmp_path: object
) -> None:
    labels = LABELS.assign(path="none.nii.gz", class_name=["covid", "np", "ncp"])
    labels["path"] = ["1.nii", "2.nii", "3.nii"]
    problem = r"'ncp' in 1 row \(3\): did you mean np" if missing else "none of the 3 files"
    with pytest.raises(ManifestError, match=problem):
        manifest_from_images(str(tmp_path), labels, folder=str(tmp_path), label_rule=rule)
    with pytest.raises(ManifestError, match="none of the 3 files"):
        manifest_from_images(
            str(tmp_path), labels, folder=str(tmp_path), label_rule=rule, own_names="ncp"
        )


@pytest.mark.parametrize("rule", [LabelRule(), ByClass(), MultiClass()])
def test_a_rule_by_class_needs_the_column(rule: TargetRule, tmp_path: object) -> None:
    labels = LABELS.assign(path=["1.nii", "2.nii", "3.nii"]).rename(columns={"class_name": "Class"})

    def build(rule: TargetRule | None, table: pd.DataFrame) -> None:
        manifest_from_images(
            str(tmp_path), table, folder=str(tmp_path), label_rule=rule,
            inclusion=InclusionCriteria(),
        )  # fmt: skip

    with pytest.raises(ManifestError, match=r"'class_name' is missing.*mean it by 'Class'\?"):
        build(rule, labels)
    with pytest.raises(ManifestError, match=r"'class_name' is missing.*Fix: add it \(covid, cap"):
        build(rule, labels.drop(columns="Class"))
    with pytest.raises(ManifestError, match="none of the 3 files"):
        build(None, labels)
