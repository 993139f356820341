"""Folders as they are: links, pipes, headers that point elsewhere."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (its own convention)

from covidlit.errors import CovidlitError
from covidlit.files import path_named, printable
from covidlit.scans.folder import walk
from covidlit.scans.images import image_files, read_image


def test_links_are_followed_once_and_circles_seen(tmp_path: Path) -> None:
    root, away = tmp_path / "root", tmp_path / "away"
    for folder in (root / "a", away / "b"):
        folder.mkdir(parents=True)
    (root / "a" / "one").write_text("1")
    (away / "b" / "two").write_text("2")
    (away / "three").write_text("3")
    (root / "a" / "up").symlink_to(root)
    (root / "above").symlink_to(tmp_path)
    (root / "itself").symlink_to("itself")
    (root / "twice").symlink_to(root / "a" / "one")
    (root / "again").symlink_to(root / "a")
    (root / "out").symlink_to(away)
    (root / "out too").symlink_to(away / "b")
    (root / "file").symlink_to(away / "three")
    (away / "back").symlink_to(root)
    (root / "dead").symlink_to(tmp_path / "nowhere")
    walked = walk(root)
    assert sorted(path.read_text() for path in walked.files) == ["1", "2", "3"]
    reasons = {path.name: reason for path, reason in walked.unread}
    assert set(reasons) == {"dead", "itself"}
    assert reasons["dead"] == "a symbolic link whose target is not there"


def test_what_is_no_regular_file_is_listed_and_never_opened(tmp_path: Path) -> None:
    (tmp_path / "file.nii").touch()
    os.mkfifo(tmp_path / "pipe.nii")
    (tmp_path / "link.nii").symlink_to(tmp_path / "pipe.nii")
    (tmp_path / "null.nii").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.nii"))
        walked = walk(tmp_path)
    assert [path.name for path in walked.files] == ["file.nii"]
    assert {path.name: reason.partition(" and ")[0] for path, reason in walked.unread} == {
        "pipe.nii": "a named pipe",
        "link.nii": "a named pipe",
        "null.nii": "a device",
        "s.nii": "a socket",
    }
    assert [path.name for path in image_files(tmp_path)] == ["file.nii"]


def test_a_name_that_is_no_utf8_is_printed_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"M\xfcller \xe4")
    path.touch()
    assert printable(path.name) == r"M\xfcller \xe4"
    assert path_named(printable(path)) == path
    odd = tmp_path / r"real\xfc"
    odd.touch()
    assert path_named(printable(odd)) == odd
    assert path_named(tmp_path / r"no\xfc") == tmp_path / r"no\xfc"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A folder with a volume of 5 x 6 x 7 in formats of two files."""
    folder = tmp_path / "in"
    folder.mkdir()
    image = sitk.GetImageFromArray(np.arange(210, dtype=np.int16).reshape(5, 6, 7))
    for name in ("v.mhd", "v.nhdr", "v.hdr"):
        sitk.WriteImage(image, str(folder / name))
    return folder


DATA = {"v.mhd": "v.raw", "v.nhdr": "v.raw", "v.hdr": "v.img"}


@pytest.mark.parametrize("name", DATA)
def test_a_header_and_its_data_in_one_folder_are_read(volume: Path, name: str) -> None:
    assert sorted(read_image(volume / name).hu.ravel()) == list(range(210))


@pytest.mark.parametrize("name", ["v.mhd", "v.nhdr"])
@pytest.mark.parametrize("where", ["{away}/v.raw", "../away/v.raw", "sub/../../away/v.raw"])
def test_data_outside_of_the_folder_are_not_opened(
    volume: Path, tmp_path: Path, name: str, where: str
) -> None:
    away = tmp_path / "away"
    away.mkdir()
    (volume / "sub").mkdir()
    (volume / DATA[name]).rename(away / "v.raw")
    header = volume / name
    header.write_text(header.read_text().replace("v.raw", where.format(away=away)))
    with pytest.raises(CovidlitError, match="outside of its folder"):
        read_image(header)


@pytest.mark.parametrize("name", DATA)
def test_data_behind_a_link_or_a_pipe_are_not_opened(
    volume: Path, tmp_path: Path, name: str
) -> None:
    data = volume / DATA[name]
    data.rename(tmp_path / "moved")
    data.symlink_to(tmp_path / "moved")
    with pytest.raises(CovidlitError, match="outside of its folder"):
        read_image(volume / name)
    data.unlink()
    os.mkfifo(data)
    with pytest.raises(CovidlitError, match="a named pipe and is not opened"):
        read_image(volume / name)


@pytest.mark.parametrize(
    ("name", "field", "listed"),
    [
        ("v.mhd", "ElementDataFile = v.raw", "ElementDataFile = LIST\n../away.raw"),
        ("v.mhd", "ElementDataFile = v.raw", "ElementDataFile = ../away%d.raw 1 5 1"),
        ("v.nhdr", "data file: v.raw", "data file: LIST\n../away.raw"),
        ("v.nhdr", "data file: v.raw", "datafile: ../away%d.raw 1 5 1"),
    ],
)
def test_lists_and_patterns_of_data_files_stay_in_the_folder(
    volume: Path, name: str, field: str, listed: str
) -> None:
    header = volume / name
    assert field in header.read_text()
    header.write_text(header.read_text().replace(field, listed))
    with pytest.raises(CovidlitError, match="outside of its folder"):
        read_image(header)
