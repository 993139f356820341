"""The precisions that an export computes in, and whether this machine has them."""

from __future__ import annotations

from typing import Any, Literal

from covidlit.deploy.extras import require_extra
from covidlit.deploy.openvino_core import openvino_core
from covidlit.errors import ConfigError, did_you_mean

Precision = Literal["f32", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("f32", "bf16", "int8")

TOLERANCE: dict[Precision, float] = {"f32": 1e-4, "bf16": 0.02, "int8": 0.05}
"""The largest difference of a score that is allowed where the user says nothing."""

N_SCANS: dict[Precision, int] = {"f32": 8, "bf16": 300, "int8": 300}
"""How many scans are compared where the user says nothing; calls that change are rare."""

WITH_TORCH = 'score with PyTorch: --engine torch, or engine="torch" in Python'
"""What a network that cannot be exported leaves."""

IN_WORDS = {"f32": "float32", "bf16": "bfloat16", "int8": "int8"}


def known_precision(name: str) -> Precision:
    """The precision of that name.

    Raises:
        ConfigError: there is none.
    """
    for precision in PRECISIONS:
        if name == precision:
            return precision
    raise ConfigError(
        f"there is no precision {name!r}; there are {', '.join(PRECISIONS)}.",
        where="precision",
        fix=did_you_mean(name, PRECISIONS) or "choose one of them.",
    )


def require_precision(precision: Precision, of_slices: bool, formats: tuple[str, ...]) -> None:
    """Refuse a precision that the network, the formats or this machine do not have.

    Raises:
        ConfigError: says which, and what to use.
    """
    if precision == "f32":
        return
    if of_slices:
        raise ConfigError(
            f"a network that segments slices is exported in float32 alone, not in {precision}.",
            where="precision",
            fix="leave --precision out.",
        )
    if formats != ("openvino",):
        raise ConfigError(
            f"{precision} is computed by OpenVINO alone: ONNX Runtime's int8 of volumes is slower "
            "than its float32, and bfloat16 it has none of.",
            where="formats",
            fix="use --format openvino, or leave it out.",
        )
    if precision == "bf16":
        require_bfloat16("precision")
    else:
        require_extra("nncf", "quantize")


def require_bfloat16(where: object) -> None:
    """Refuse bfloat16 on a processor that has none; OpenVINO would compute in float32 unasked.

    Raises:
        ConfigError: names the processor.
    """
    core = openvino_core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ConfigError(
            f"this processor ({processor()}) has no bfloat16.",
            where=where,
            fix="export with --precision int8 or f32, or use a machine whose processor has it "
            "(AVX512_BF16 or AMX).",
        )


def processor() -> str:
    """The name of this machine's processor, as OpenVINO calls it."""
    return str(openvino_core().get_property("CPU", "FULL_DEVICE_NAME")).strip()


def compile_options(precision: Precision) -> dict[str, Any]:
    """What OpenVINO is told of the precision.

    Where the processor has bfloat16, it would be used unasked. What int8 leaves in floating point
    stays float32: some layers have no kernel from int8 to bfloat16.
    """
    return {"INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"}
