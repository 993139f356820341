"""Tables with hostile texts: either they come back from a file as they went in, or are refused."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covidlit.cohort.clinical import read_clinical, validate_clinical, write_clinical
from covidlit.cohort.manifest import read_manifest, validate_manifest, write_manifest
from covidlit.errors import CovidlitError
from covidlit.evaluation.predictions import (
    read_predictions,
    validate_predictions,
    write_predictions,
)

WORDS = (
    "", " ", "NA", "nan", "None", "null", "007", "1.0", "1e5", "-", "True", "2020-01-01", "=1+1",
    "a,b", 'a"b', '"', "'", "a\nb", "a\r\nb", "\r", "\x00", "\ufeffa", "a\u2028b", "../x",
    "covid ", "COVID", "é", "e\u0301", "\U0001f600", "#", "\\", "\\N", "a\tb", "{{ x }}",
    "<b>", "$a$",
)  # fmt: skip
TEXTS = st.one_of(st.sampled_from(WORDS), st.text(st.characters(codec="utf-8"), max_size=8))

MANIFEST = ("patient_id", "scan_id", "class_name", "centre", "study_uid", "aetiology", "kernel")
CLINICAL = ("patient_id", "epidemiology")
PREDICTIONS = ("patient_id", "scan_id", "centre", "class_name", "model", "run_id", "reason")


def manifest(texts: dict[str, list[str]]) -> pd.DataFrame:
    return pd.DataFrame({**texts, "path": ["/a", "/b"], "target": [0, 1]})


def clinical(texts: dict[str, list[str]]) -> pd.DataFrame:
    return pd.DataFrame({**texts, "date": ["2020-02-01", "2020-02-02"]})


def predictions(texts: dict[str, list[str]]) -> pd.DataFrame:
    facts = {"part": ["test", "test"], "target": [0, 1], "score": [0.1, 0.9], "status": "ok"}
    return pd.DataFrame({**texts, **facts})


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("columns", "make", "validate", "write", "read"),
    [
        (MANIFEST, manifest, validate_manifest, write_manifest, read_manifest),
        (CLINICAL, clinical, validate_clinical, write_clinical, read_clinical),
        (PREDICTIONS, predictions, validate_predictions, write_predictions, read_predictions),
    ],
    ids=["manifest", "clinical", "predictions"],
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.data())
def test_texts_come_back_or_are_refused(
    columns: tuple[str, ...],
    make: Callable[..., pd.DataFrame],
    validate: Callable[..., pd.DataFrame],
    write: Callable[..., Path],
    read: Callable[..., pd.DataFrame],
    ending: str,
    tmp_path: Path,
    data: st.DataObject,
) -> None:
    # One hostile text in the first row of one column; the others are plain.
    texts = {name: ["one", f"other {name}"] for name in columns}
    for name in ("scan_id", "class_name"):
        if name in texts:
            texts[name] = ["one", "other"]
    texts[data.draw(st.sampled_from(columns))][0] = data.draw(TEXTS)
    try:
        table = validate(make(texts))
    except CovidlitError:
        return
    path = tmp_path / f"table.{ending}"
    found = read(write(table, path))
    for name in columns:
        assert found[name].fillna("").tolist() == table[name].fillna("").tolist(), name


@pytest.mark.parametrize("word", ["007", "a,b", 'a"b', "a\nb", "a\rb", "1e5", "True", "\ufeffa"])
def test_odd_texts_are_kept(word: str, tmp_path: Path) -> None:
    """The property above would hold of a schema that refuses everything."""
    table = make_all(word)
    found = read_manifest(write_manifest(table, tmp_path / "manifest.csv"))
    for name in ("patient_id", "centre", "aetiology"):
        assert found[name].tolist() == [word, "other"]


@pytest.mark.parametrize("word", ["NA", "None", "nan", "null"])
def test_words_for_missing_values_are_refused_outside_of_csv(word: str, tmp_path: Path) -> None:
    with pytest.raises(CovidlitError, match=rf"'patient_id': value '{word}': is a word for a miss"):
        validate_manifest(make_all(word))
    with pytest.raises(CovidlitError, match="'scan_id'"):
        validate_manifest(make_all("a").assign(scan_id=[word, "other"]))
    # In a CSV table they are what R and pandas mean by them.
    path = tmp_path / "manifest.csv"
    make_all(word).assign(patient_id=["a", "b"]).to_csv(path, index=False)
    assert read_manifest(path)["centre"].isna().tolist() == [True, False]


def test_half_a_character_is_refused() -> None:
    table = make_all("a").astype(object)
    table.loc[0, "centre"] = "\ud800"
    with pytest.raises(CovidlitError, match=r"row 1, column 'centre': value .*must be text"):
        validate_manifest(table)


def make_all(word: str) -> pd.DataFrame:
    names = ("patient_id", "centre", "aetiology")
    texts = {name: [word, "other"] for name in names}
    return manifest({**texts, "scan_id": ["one", "other"], "class_name": ["np", "cap"]})
