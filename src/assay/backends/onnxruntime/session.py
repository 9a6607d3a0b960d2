"""ONNX Runtime's sessions: the whole graph on one device, in float32, or else one line of ours.

A provider has to take the whole graph: which one runs each node is read back from the session.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnxruntime

from assay.errors import BackendError, Option, Remedy
from assay.records import Precision

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cann": "CANNExecutionProvider",
}
_EXACT = {"cuda": {"use_tf32": "0"}, "cann": {"precision_mode": "must_keep_origin_dtype"}}
"""Options that hold a provider to the graph's own types: left alone, NVIDIA's libraries round products to TF32's 11
bits, and CANN computes in half precision throughout."""
_ALLOWED: dict[Precision, dict[str, str]] = {
    "fp16": {"trt_fp16_enable": "1"},
    "int8": {"trt_int8_enable": "1"},
    "fp32": {},
}
"""What TensorRT's provider is told that it may compute in."""
_OVERRIDE = "NVIDIA_TF32_OVERRIDE"
_ELSEWHERE = Remedy("compile for {}, or for the backend of that device", Option("device", "cpu"))
_ERRORS_ONLY = 3
_LEFT_OUT = ["WeightBiasQuantization"]
"""Optimisations that change the model: this one rounds weights that were kept in float32 between 8-bit layers, by one
scale for all channels (MobileNet with its depthwise layers in float32: 18 images right of 96 in place of 53)."""
_state = onnxruntime.capi.onnxruntime_pybind11_state
# Each of the vendor's exceptions derives from Exception itself, so they have to be listed.
_VENDOR_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(kind for kind in vars(_state).values() if isinstance(kind, type) and issubclass(kind, Exception)),
)


def optimised_to(level: Any) -> Any:
    """The options of a session whose graph is optimised to this level as it is loaded."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = _ERRORS_ONLY
    return options


def start(path: Path, options: Any, device: str, precision: Precision = "fp32") -> Any:
    """A session whose whole graph runs on the device; raises `BackendError` where another provider has a part."""
    provider = PROVIDERS[device]
    if device != "cpu":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        # Versions without the entry, and so without the answer, still hold to the one above.
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    given = _ALLOWED[precision] if device == "tensorrt" else _EXACT.get(device, {})
    session = onnxruntime.InferenceSession(
        str(path),
        options,
        providers=[provider],
        provider_options=[given],
        enable_fallback=0,
        disabled_optimizers=_LEFT_OUT,
    )
    session.disable_fallback()
    if device != "cpu":
        _require_all_on(session, provider, device)
    return session


def _require_all_on(session: Any, provider: str, device: str) -> None:
    """Raises `BackendError` with the operators that another provider would run."""
    if provider not in session.get_providers():
        taken = ", ".join(session.get_providers())
        raise BackendError(f"onnxruntime cannot start {provider} ({taken} would run the model)", remedy=_ELSEWHERE)
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return
    elsewhere = {
        f"{node.op_type} on {part.ep_name}"
        for part in session.get_provider_graph_assignment_info()
        if part.ep_name != provider
        for node in part.get_nodes()
    }
    if elsewhere:
        listed = ", ".join(sorted(elsewhere)[:5]) + (" …" if len(elsewhere) > 5 else "")
        raise BackendError(f"onnxruntime's {device} does not take the whole graph ({listed})", remedy=_ELSEWHERE)


@contextmanager
def without_tf32() -> Iterator[None]:
    """Builds TensorRT's engine without TF32: its provider has no option for that, so NVIDIA's variable says it."""
    before = os.environ.get(_OVERRIDE)
    os.environ[_OVERRIDE] = "0"
    try:
        yield
    finally:
        os.environ.pop(_OVERRIDE) if before is None else os.environ.update({_OVERRIDE: before})


@contextmanager
def translated(doing: str, remedy: Remedy) -> Iterator[None]:
    """The vendor's exceptions as one line of ours."""
    try:
        yield
    except _VENDOR_ERRORS as error:
        said = " ".join(str(error).split())[:400]
        what_to_do = _ELSEWHERE if "fallback to CPU EP" in said else remedy
        raise BackendError(f"onnxruntime could not {doing}: {said}", remedy=what_to_do) from error
