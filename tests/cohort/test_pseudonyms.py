import hashlib
import hmac
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from covidlit.cohort.pseudonyms import Pseudonyms, read_or_make_key
from covidlit.errors import ManifestError


def test_a_pseudonym_is_a_keyed_hash() -> None:
    key = b"k" * 32
    expected = hmac.new(key, b"pat-1", hashlib.sha256).hexdigest()[:12]
    assert Pseudonyms(key).patient("pat-1 ") == "P" + expected
    assert Pseudonyms(b"x" * 32).patient("pat-1") != "P" + expected
    assert Pseudonyms(None).patient("pat-1") == "pat-1"


def test_the_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "manifest.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: read_or_make_key(path), range(16)))
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_file_system_without_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "manifest.key"
    assert read_or_make_key(path) == read_or_make_key(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "not hex", "abcd", "ä"])
def test_a_damaged_key_is_not_replaced_in_silence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "manifest.key"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ManifestError, match=r"manifest.key: .*restore the file"):
        read_or_make_key(path)
    assert path.read_text(encoding="utf-8") == content


def test_a_folder_that_cannot_hold_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ManifestError, match=r"cannot be read or made.*--key-file"):
        read_or_make_key(tmp_path / "file" / "manifest.key")
