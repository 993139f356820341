import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from covidlit.cohort import read_manifest
from covidlit.errors import ConfigError, CovidlitError, ManifestError

pytestmark = pytest.mark.slow


@pytest.fixture
def run() -> Callable[..., str]:
    """Run the command and return what it prints; errors of covidlit come through."""
    from covidlit.cli.manifest import manifest

    app = typer.Typer()
    app.command()(manifest)

    def call(*arguments: object) -> str:
        result = CliRunner(env={**os.environ, "COLUMNS": "120"}).invoke(
            app, list(map(str, arguments))
        )
        if isinstance(result.exception, CovidlitError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return call


@pytest.fixture
def labels(tmp_path: Path, write_series: Callable[..., Path]) -> Path:
    write_series("a", "pat-1", "1.2.1", "1.2.1.1")
    write_series("b", "pat-2", "1.2.2", "1.2.2.1")
    write_series("c", "pat-3", "1.2.3", "1.2.3.1", drop=4)
    pd.DataFrame(
        {
            "patient_id": ["pat-1", "pat-2", "pat-3", "pat-4"],
            "class_name": ["covid", "np", "cap", "np"],
            "centre": ["A", "B", "B", "B"],
        }
    ).to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path / "labels.csv"


def test_it_writes_the_manifest_and_says_what_it_did(
    run: Callable[..., str], labels: Path, tmp_path: Path
) -> None:
    out = tmp_path / "study" / "manifest.csv"
    said = run(tmp_path / "dicom", "--labels", labels, "--out", out, "--label-rule", "by-class")
    assert len(read_manifest(out)) == 3
    assert "Table 1" in said
    assert "COVID-19" in said
    assert "slices of at most 5 mm" in said
    assert "Of the labels 1 row is about no scan: 4 (line 5 of the file)." in said
    assert "pat-" not in said
    problems = pd.read_csv(out.with_suffix(".problems.csv"))
    assert problems["kind"].tolist() == ["label without scan", "refused"]
    assert pd.read_csv(out.with_suffix(".flow.csv"))["n_left"].iloc[[0, -1]].tolist() == [3, 2]
    assert (tmp_path / "study" / "manifest.key").exists()


def test_options_reach_the_rules(run: Callable[..., str], labels: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.parquet"
    run(
        *(tmp_path / "dicom", "--labels", labels, "--out", out, "--label-rule", "multi-class"),
        *("--classes", "np,cap,covid", "--override", "missing_slice", "--no-inclusion"),
    )
    table = read_manifest(out)
    assert sorted(table["target"]) == [0, 1, 2]
    assert set(table["status"]) == {"ok"}


@pytest.mark.parametrize(
    ("option", "left"),
    [
        (("--max-slice-thickness", 4), 0),
        (("--max-slice-thickness", 0), 3),
        (("--tested-or-before", "2020-03-01"), 3),
        (("--on-missing", "exclude"), 0),
        (("--on-missing", "exclude", "--min-spo2", 0, "--tested-or-before", "none"), 3),
        (("--on-missing", "exclude", "--spo2-class", "covid", "--tested-or-before", "none"), 2),
    ],
)
def test_the_criteria_are_options(
    run: Callable[..., str], labels: Path, tmp_path: Path, option: tuple[object, ...], left: int
) -> None:
    out = tmp_path / "m.csv"
    command = (tmp_path / "dicom", "--labels", labels, "--out", out, "--label-rule", "none")
    if left:
        run(*command, *option)
        assert len(read_manifest(out)) == left
    else:
        with pytest.raises(ManifestError, match="no scan is left"):
            run(*command, *option)


def test_all_series_of_a_patient(
    run: Callable[..., str], write_series: Callable[..., Path], labels: Path, tmp_path: Path
) -> None:
    write_series("a/lung", "pat-1", "1.2.1", "1.2.1.2", n=20, ConvolutionKernel="LUNG")
    out = tmp_path / "m.csv"
    command = (tmp_path / "dicom", "--labels", labels, "--out", out, "--label-rule", "none")
    run(*command, "--series", "all")
    kernels = read_manifest(out)["kernel"]
    assert (len(kernels), set(kernels)) == (3, {"STANDARD"})
    run(*command, "--series", "all", "--every-scan")
    assert len(read_manifest(out)) == 4


@pytest.mark.parametrize(
    "given",
    [
        ("--images", "--key", "path"),
        ("--images", "--override", "missing_slice"),
        ("--images", "--min-slices", "12"),
        ("--images", "--series", "all"),
        ("--no-inclusion", "--on-missing", "error"),
        ("--no-inclusion", "--every-scan"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(
    run: Callable[..., str], labels: Path, tmp_path: Path, given: tuple[str, ...]
) -> None:
    option = rf"{given[1]}: it changes nothing together with {given[0]}"
    with pytest.raises(ConfigError, match=option):
        run(tmp_path / "dicom", "--labels", labels, "--out", tmp_path / "m.csv", *given)


def test_further_columns_are_kept_by_name(
    run: Callable[..., str], labels: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(labels).assign(ward="W3", hospital_id="H-4711")
    table.to_csv(labels, index=False)
    command = (tmp_path / "dicom", "--labels", labels, "--out", tmp_path / "m.csv")
    said = run(*command, "--label-rule", "none", "--keep-column", "ward")
    kept = read_manifest(tmp_path / "m.csv")
    assert set(kept["ward"]) == {"W3"}
    assert "hospital_id" not in kept
    one_line = " ".join(said.split())
    assert "1 column of the labels not copied, as possibly identifying: hospital_id" in one_line
    assert "H-4711" not in said


def test_errors_tell_how_to_mend(run: Callable[..., str], labels: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"label_rule=by_class"):
        run(tmp_path / "dicom", "--labels", labels, "--out", tmp_path / "m.csv")
    assert not (tmp_path / "m.csv").exists()
    (tmp_path / "folder.csv").mkdir()
    for name, problem in (("m.xlsx", "not '.xlsx'"), ("folder.csv", "Is a directory")):
        with pytest.raises(CovidlitError, match=problem):
            run(tmp_path / "missing", "--out", tmp_path / name)
    with pytest.raises(ManifestError, match=r"image files need a table of labels"):
        run(tmp_path / "dicom", "--images")


def test_a_near_miss_is_refused_unless_it_is_meant(
    run: Callable[..., str], labels: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(labels)
    table.loc[1, "class_name"] = "nnp"
    table.assign(rtpcr_inital="negative").to_csv(labels, index=False)
    command = (tmp_path / "dicom", "--labels", labels, "--out", tmp_path / "m.csv")
    command = (*command, "--label-rule", "by-class")
    with pytest.raises(ManifestError, match=r"'rtpcr_inital': did you mean rtpcr_initial\?"):
        run(*command)
    with pytest.raises(
        ManifestError, match=r"'nnp' in 1 row \(2; line 3 of the file\): did you mean np\?"
    ):
        run(*command, "--keep-column", "rtpcr_inital")
    run(*command, "--own-name", "rtpcr_inital", "--own-name", "nnp")
    assert sorted(read_manifest(tmp_path / "m.csv")["class_name"]) == ["cap", "covid", "nnp"]


def test_the_day_before_which_the_untested_are_negative(
    run: Callable[..., str], write_series: Callable[..., Path], tmp_path: Path
) -> None:
    """All scans are of 2020-02-01; b and c are untested, a is a case."""
    for number, place in enumerate("abc"):
        write_series(place, f"pat-{number}", f"1.2.{number}", f"1.2.{number}.1")
    table = {"patient_id": ["pat-0", "pat-1", "pat-2"], "class_name": ["covid", "np", "np"]}
    tests = {"rtpcr_initial": ["positive", None, None], "centre": "A"}
    pd.DataFrame(table | tests).to_csv(tmp_path / "labels.csv", index=False)
    out = tmp_path / "m.csv"
    command = (tmp_path / "dicom", "--labels", tmp_path / "labels.csv", "--out", out)

    def targets(*options: str) -> list[int]:
        run(*command, *options)
        return sorted(read_manifest(out)["target"])

    assert targets() == [1]
    assert targets("--untested-before", "2020-02-01") == [1]
    assert targets("--untested-before", "2020-02-02") == [0, 0, 1]
    later = ("--untested-before", "2020-02-02")
    assert targets(*later, "--tested-or-before", "2019-12-01") == [1]
    assert targets(*later, "--no-inclusion") == [0, 0, 1]
    assert targets("--untested-before", "none", "--tested-or-before", "none") == [1]
    with pytest.raises(ManifestError, match=r"'01\.02\.2020' is not a date"):
        run(*command, "--untested-before", "01.02.2020")
    with pytest.raises(ConfigError, match="--untested-before: it changes nothing"):
        run(*command, "--untested-before", "2020-02-02", "--label-rule", "by-class")


@pytest.mark.parametrize("name", ["m.csv", "m.problems.csv", "m.flow.csv", "manifest.key"])
def test_what_cannot_be_written_is_said_before_the_headers_are_read(
    run: Callable[..., str],
    labels: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr("covidlit.dicom.find_series", lambda *_, **__: pytest.fail("were read"))
    (tmp_path / "out" / name).mkdir(parents=True)
    command = (tmp_path / "dicom", "--labels", labels, "--out", tmp_path / "out" / "m.csv")
    with pytest.raises(CovidlitError, match=name):
        run(*command, "--label-rule", "none")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
