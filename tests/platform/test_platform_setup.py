"""A platform that is made ready: what is wrong in its settings is told at the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from covidlit.errors import ConfigError
from covidlit.platform.folder import PlatformFolder, make_platform_folder
from covidlit.platform.setup import prepare


def test_a_model_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    folder = make_platform_folder(tmp_path / "platform", "Test")
    path = tmp_path / "platform" / "platform.toml"
    path.write_text(path.read_text().replace('severity = ""', 'severity = "/nowhere/run"'))
    with pytest.raises(ConfigError, match=r"\[models\] severity: there is no /nowhere/run"):
        prepare(PlatformFolder(folder.root))
