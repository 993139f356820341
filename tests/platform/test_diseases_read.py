"""Diseases as YAML: what is read, and what a mistake is told as."""

from __future__ import annotations

from pathlib import Path

import pytest
from disease_world import OWN, own_disease
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.errors import ConfigError
from covidlit.platform.diseases.read import read_diseases
from covidlit.platform.folder import PlatformFolder, make_platform_folder
from covidlit.platform.setup import prepare


def refusal(tmp_path: Path, *change: str, name: str = "effusion") -> str:
    """What is said of a disease with a change, with the place and the fix."""
    text = OWN.replace(change[0], change[1]) if change else OWN
    assert text != OWN or not change
    path = own_disease(tmp_path, name, text)
    with pytest.raises(ConfigError) as caught:
        read_diseases(tmp_path / "diseases")
    assert caught.value.where == str(path)
    assert caught.value.fix
    return caught.value.what


def test_a_disease_of_ones_own_stands_beside_the_packaged_ones(tmp_path: Path) -> None:
    own_disease(tmp_path)
    found = read_diseases(tmp_path / "diseases")
    assert list(found) == ["covid-19", "effusion", "fibrosis"]
    own = found["effusion"]
    assert own.values == {6: "fluid"}
    assert own.legend == [(1, "lung"), (6, "fluid")]
    assert [each.column for each in own.definitions] == ["total_volume_ml", "n_lesions"]
    assert found["covid-19"].has_all_classes
    assert not own.has_all_classes
    assert set(found["fibrosis"].classes) == {"fibrosis", "interstitial_thickening"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("  pleural_effusion", "  pleural_efusion"), "did you mean pleural_effusion"),
        (("  pleural_effusion", "  lung"), "classes: there is no class of lesions 'lung'"),
        (("n_lesions]", "n_lesion]"), "factors.shown: there is no factor 'n_lesion'; did you mean"),
        (("n_lesions]", "total_volume_ml]"), "stands there twice"),
        (("followed: total", "followed: mean"), "'mean_volume_ml' is not among the shown"),
        (("title:", "titel:"), "titel: there is no such key; did you mean title"),
        (("severity:", "severty:"), "models.severty: there is no such key; did you mean severity"),
        (("Effusion watch", "[1"), "it cannot be read as YAML"),
        (("title: Eff", "title: Twice\ntitle: Eff"), "'title' stands there twice"),
        (("title: Effusion watch\n", ""), "title: it is missing"),
        (("Effusion watch", "Fibrosis follow-up"), "is that of fibrosis.yaml too"),
        (("Effusion watch", '"a\\nb"'), "printable text on one line"),
        (("title:", "name: x\ntitle:"), "name: it is that of the file"),
        ((OWN, "# nothing"), "it is empty"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_field_and_what_may_stand_there(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    assert said in refusal(tmp_path, *change)


@pytest.mark.parametrize("name", ["covid-19", "Upper", "with space", "a" * 41])
def test_a_name_is_ones_own_and_fits_an_address(tmp_path: Path, name: str) -> None:
    assert "already" in (what := refusal(tmp_path, name=name)) or "1 to 40" in what


def test_a_factor_below_zero_has_no_course_from_zero(tmp_path: Path) -> None:
    text = OWN.replace("n_lesions]", "mean_density_hu]").replace("followed: t", "followed: x")
    own_disease(tmp_path, text=text.replace("xotal_volume_ml", "mean_density_hu"))
    with pytest.raises(ConfigError, match="may be below 0"):
        read_diseases(tmp_path / "diseases")


def test_a_file_with_another_ending_is_not_left_out_silently(tmp_path: Path) -> None:
    own_disease(tmp_path).rename(tmp_path / "diseases" / "effusion.yml")
    with pytest.raises(ConfigError, match="no file of a disease"):
        read_diseases(tmp_path / "diseases")


def test_a_platform_does_not_start_with_a_disease_that_is_wrong(tmp_path: Path) -> None:
    make_platform_folder(tmp_path / "p")
    listed = CliRunner().invoke(app, ["platform", "diseases", str(tmp_path / "p")])
    assert listed.exit_code == 0
    assert "fibrosis: Fibrosis follow-up" in listed.output
    path = own_disease(tmp_path / "p", text=OWN.replace("n_lesions]", "n_lesion]"))
    for command in ("diseases", "verify", "serve"):
        done = CliRunner().invoke(app, ["platform", command, str(tmp_path / "p")])
        assert done.exit_code == 2
        assert str(path) in done.output.replace("\n", "")


def test_a_model_that_is_not_there_is_told_at_start(tmp_path: Path) -> None:
    make_platform_folder(tmp_path / "p")
    own_disease(tmp_path / "p", text=OWN.replace("  severity: none", "  lesions: masks:/nowhere"))
    folder = PlatformFolder(tmp_path / "p")
    with pytest.raises(ConfigError, match=r"models\.lesions: there is no /nowhere"):
        prepare(folder)


def test_models_are_the_diseases_own_or_those_of_the_platform(tmp_path: Path) -> None:
    make_platform_folder(tmp_path / "p")
    own_disease(tmp_path / "p", text=OWN.replace("severity: none", "lesions: masks:/m"))
    path = tmp_path / "p" / "platform.toml"
    text = path.read_text().replace('lesions = ""', 'lesions = "/l"')
    path.write_text(text.replace('severity = ""', 'severity = "/s"'))
    folder = PlatformFolder(tmp_path / "p")
    of = {name: folder.models_of(each) for name, each in folder.diseases.items()}
    assert (of["covid-19"].lesions, of["covid-19"].severity) == ("/l", "/s")
    assert (of["effusion"].lesions, of["effusion"].severity) == ("masks:/m", "/s")
    assert (of["fibrosis"].lesions, of["fibrosis"].severity) == ("/l", "")
