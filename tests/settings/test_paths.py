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
