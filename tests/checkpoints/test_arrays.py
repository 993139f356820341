"""A checkpoint read without torch says what torch reads, and refuses what torch refuses."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from covidlit.checkpoints.arrays import load_arrays
from covidlit.checkpoints.file import load_checkpoint
from covidlit.errors import CheckpointError

TYPES = (torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.int16,
         torch.int8, torch.uint8, torch.bool)  # fmt: skip


def content(**weights: Any) -> dict[str, Any]:
    return {
        "state_dict": weights,
        "hyper_parameters": {"net": {"hidden": [4]}, "n_classes": 2},
        "covidlit": {
            "format": 1, "task": "covidlit.tasks.severity.SeverityPrediction", "record": {"a": 1},
        },
    }  # fmt: skip


def saved(folder: Path, **weights: Any) -> Path:
    path = folder / "last.ckpt"
    torch.save(content(**weights), path)
    return path


def test_it_holds_what_torch_reads(tmp_path: Path) -> None:
    base = torch.arange(60).reshape(3, 4, 5)
    weights = {
        **{str(each): base.to(each) for each in TYPES},
        "turned": base.float().transpose(0, 2),
        "part": base.float()[1, 1:, ::2],
        "last": base.float()[2, 3, 4],
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)).detach(),
    }
    path = saved(tmp_path, **weights, twice=weights["turned"])
    own, of_torch = load_arrays(path), load_checkpoint(path)
    assert own["covidlit"] == of_torch["covidlit"]
    assert own["hyper_parameters"] == of_torch["hyper_parameters"]
    assert own["state_dict"].keys() == of_torch["state_dict"].keys()
    for name, expected in of_torch["state_dict"].items():
        found = own["state_dict"][name]
        assert found.dtype == expected.numpy().dtype
        np.testing.assert_array_equal(found, expected.numpy())


def test_torch_is_not_imported(tmp_path: Path) -> None:
    path = saved(tmp_path, weight=torch.ones(2))
    code = (
        "import sys; from covidlit.checkpoints.arrays import load_arrays; "
        f"load_arrays({str(path)!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class Payload:
    """Pickles as a call that leaves a folder behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def test_what_would_run_is_named_and_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = saved(tmp_path, weight=torch.ones(2))
    torch.save({**content(), "callbacks": Payload(marker)}, path)
    with pytest.raises(CheckpointError, match=r"untrusted: it would run .*mkdir"):
        load_arrays(path)
    bare = tmp_path / "bare.ckpt"
    bare.write_bytes(pickle.dumps(content()))
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_arrays(bare)
    assert not marker.exists()


def test_a_target_that_may_not_be_built_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    for target in ("os.system", "covidlit.files.remove"):
        own = content()
        own["hyper_parameters"]["net"]["_target_"] = target
        torch.save(own, path)
        with pytest.raises(CheckpointError, match=f"asks for '{target}'"):
            load_arrays(path)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((3,), (1,), 0), ((2, 2), (1, 1), 1), ((2,), (5,), 0), ((4, 4), (0, 0), 0), ((2,), (-1,), 1),
     ((1,), (1,), 2), ((2,), (1, 1), 0)],
)  # fmt: skip
def test_a_tensor_may_not_leave_its_storage(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int, tmp_path: Path
) -> None:
    class Elsewhere(torch.Tensor):
        def __reduce_ex__(self, protocol: Any) -> Any:
            storage = torch.storage.TypedStorage(
                wrap_storage=torch.ones(2).untyped_storage(), dtype=torch.float32, _internal=True
            )
            made = (storage, offset, shape, strides, False, {})
            return torch._utils._rebuild_tensor_v2, made

    path = saved(tmp_path, weight=torch.ones(2).as_subclass(Elsewhere))
    with pytest.raises(CheckpointError, match="truncated or not a checkpoint"):
        load_arrays(path)


def test_damage_is_said_wherever_it_is(tmp_path: Path) -> None:
    path = saved(tmp_path, weight=torch.ones(50), other=torch.zeros(3, 3))
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        changed = bytearray(whole)
        for place in rng.integers(len(whole), size=rng.integers(1, 4)):
            changed[place] ^= int(rng.integers(1, 256))
        if rng.random() < 0.3:
            changed = changed[: rng.integers(len(changed))]
        path.write_bytes(changed)
        try:
            load_arrays(path)
        except CheckpointError:  # anything else fails the test
            refused += 1
    assert refused > 100
