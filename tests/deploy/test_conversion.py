"""Networks become graphs of OpenVINO; what cannot is said, and the log of the process stays."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from covidlit.deploy.conversion import ConversionError, convert_model
from covidlit.deploy.openvino_core import openvino_core

pytest.importorskip("openvino")


class Bessel(nn.Module):
    """A function for which OpenVINO has no rule."""

    def forward(self, values: Tensor) -> Tensor:
        return torch.special.bessel_j0(values)


def logging_state() -> tuple[object, ...]:
    root = logging.getLogger()
    return root.level, list(root.filters), list(root.handlers)


def test_a_network_gives_the_same_as_a_graph() -> None:
    torch.manual_seed(0)
    network, values = nn.Linear(3, 2).eval(), torch.randn(4, 3)
    before = logging_state()
    model = convert_model(network, example_input=values)
    assert logging_state() == before
    scores = openvino_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.no_grad():
        np.testing.assert_allclose(scores(values.numpy())[0], network(values), rtol=1e-5)


def test_what_cannot_be_converted_is_named_and_warnings_are_still_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = logging_state()
    with pytest.raises(ConversionError, match=r"^[^\n]*bessel_j0[^\n]*$"):
        convert_model(Bessel(), example_input=torch.randn(4))
    assert logging_state() == before
    logging.getLogger("covidlit.some").warning("this is told")
    assert "this is told" in caplog.text
