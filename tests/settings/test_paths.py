"""Settings that are paths become whole ones; names of weights stay names."""

from __future__ import annotations

from pathlib import Path

from covidlit.settings.paths import absolute_paths


def test_weights_by_name_are_no_path() -> None:
    def given(value: str | None) -> object:
        config = {"model": {"task": {"net": {"pretrained": value}}}, "name": "imagenet"}
        return absolute_paths(config, "/runs")["model"]["task"]["net"]["pretrained"]

    assert given("imagenet") == "imagenet"
    assert given("coco") == "coco"
    assert given("weights/r18.pth") == str(Path("/runs/weights/r18.pth"))
    assert given(None) is None


def test_the_table_of_factors_is_found_from_any_folder() -> None:
    config = {
        "data": {"factors": "quantified", "source": {"path": "manifest.csv"}, "columns": None}
    }
    data = absolute_paths(config, "/runs")["data"]
    assert data["factors"] == str(Path("/runs/quantified"))
    assert data["source"]["path"] == str(Path("/runs/manifest.csv"))


def _source(**given: object) -> dict[str, object]:
    found: dict[str, object] = absolute_paths({"data": {"source": given}}, "/runs")["data"][
        "source"
    ]
    return found


def test_sources_of_slices_are_found_from_any_folder() -> None:
    coco = _source(annotations="a.json", images="pictures", table="t.csv", folder="data/slices")
    assert coco == {
        "annotations": str(Path("/runs/a.json")),
        "images": str(Path("/runs/pictures")),
        "table": str(Path("/runs/t.csv")),
        "folder": str(Path("/runs/data/slices")),
    }
    labels = _source(manifest="m.csv", labels="truth", name="{scan_id}.nii.gz", values={1: "lung"})
    assert labels["manifest"] == str(Path("/runs/m.csv"))
    assert labels["labels"] == str(Path("/runs/truth"))
    assert labels["name"] == "{scan_id}.nii.gz"
    assert labels["values"] == {1: "lung"}
    # What stands below a root starts from there.
    own = {"table": "slices.csv", "images": "ct", "masks": {"labels": "lung", "root": "x"}}
    masks = _source(root="pictures", folder="data", **own)
    assert masks == {"root": str(Path("/runs/pictures")), "folder": str(Path("/runs/data")), **own}
    assert _source(annotations="/x/a.json", images=None)["annotations"] == "/x/a.json"


def test_names_of_a_source_are_no_paths_elsewhere() -> None:
    config = {"data": {"table": "x", "labels": "y"}, "label_rule": {"source": {"labels": "z"}}}
    assert absolute_paths(config, "/runs") == config
