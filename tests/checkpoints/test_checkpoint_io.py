"""A checkpoint is whole or is the one before."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest
import torch

from covidlit.checkpoints.io import RunCheckpointIO
from covidlit.errors import CovidlitError


def test_nothing_is_written_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))  # a folder that is not there
    path = tmp_path / "checkpoints" / "last.ckpt"
    RunCheckpointIO([tmp_path]).save_checkpoint({"weight": torch.ones(3)}, path)
    assert torch.equal(torch.load(path, weights_only=True)["weight"], torch.ones(3))
    assert [found.name for found in path.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize(
    ("failure", "raised"),
    [(OSError(errno.ENOSPC, "No space left"), CovidlitError), (KeyboardInterrupt(), BaseException)],
)
def test_the_checkpoint_before_outlives_a_failure(
    failure: BaseException, raised: type[BaseException], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = tmp_path / "last.ckpt"
    RunCheckpointIO([tmp_path]).save_checkpoint({"epoch": 1}, path)

    def half_written(target: Path, content: memoryview) -> int:
        with target.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise failure

    monkeypatch.setattr(Path, "write_bytes", half_written)
    with pytest.raises(raised):
        RunCheckpointIO([tmp_path]).save_checkpoint({"epoch": 2}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["last.ckpt"]
