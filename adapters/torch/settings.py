"""The settings of torch that decide numbers: put in place for each call, whatever the user's are; and what is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# what torch.set_float32_matmul_precision is given in a mode; "highest" in all others, for IEEE float32
PRECISIONS = {"tf32": "high", "bfloat16_products": "medium"}


@contextmanager
def settings(mode: str = "eager", device: str = "cuda") -> Iterator[None]:
    """The settings of a mode, until the context ends. Those that only a GPU obeys stay as they are for the CPU.

    "as it comes": none is touched.
    """
    if mode == "as it comes":
        yield
        return
    precision = torch.get_float32_matmul_precision()
    before, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    with nullcontext() if device == "cpu" else _on_cuda(mode):
        try:
            torch.set_float32_matmul_precision(PRECISIONS.get(mode, "highest"))
            if mode == "deterministic":
                torch.use_deterministic_algorithms(True)
            yield
        finally:
            torch.set_float32_matmul_precision(precision)
            if mode == "deterministic":
                torch.use_deterministic_algorithms(before, warn_only=warns)


@contextmanager
def _on_cuda(mode: str) -> Iterator[None]:
    """What a GPU alone obeys."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    reduced = matmul.allow_fp16_reduced_precision_reduction, matmul.allow_bf16_reduced_precision_reduction
    with cudnn.flags(
        enabled=mode != "fallback",
        benchmark=cudnn.benchmark,
        deterministic=cudnn.deterministic or mode == "deterministic",
        allow_tf32=mode in PRECISIONS,
    ):
        _reduce(False, False)
        try:
            yield
        finally:
            _reduce(*reduced)


def _reduce(float16: Any, bfloat16: Any) -> None:
    """Whether products of narrow operands may be added up in the narrow dtype too, on CUDA."""
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = float16
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = bfloat16


def environment() -> dict[str, Any]:
    """Versions below torch, hardware, and the settings that decide numbers."""
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return {
        "torch": str(torch.__version__),
        "BLAS": blas and blas[1],
        "CPU capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "MKL-DNN": torch.backends.mkldnn.is_available(),
        "float32 matmul precision": "highest (the adapter's choice)",
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        **(_cuda() if torch.cuda.is_available() else {"CUDA": None}),
    }


def _cuda() -> dict[str, Any]:
    """What decides numbers on a GPU, and which operation torch.nn.RNN comes to there, for each dtype."""
    kernels = {f"kernel of {dtype}": kernel("cuda", dtype) for dtype in ("float32", "float64", "float16", "bfloat16")}
    return {
        "CUDA": torch.version.cuda,
        "cuDNN": torch.backends.cudnn.version(),
        "GPUs": ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())),
        "TF32": "off (the adapter's choice)",
        "reduced precision in sums of narrow products": "off (the adapter's choice)",
        "cuDNN deterministic": torch.backends.cudnn.deterministic,
        "cuDNN benchmark": torch.backends.cudnn.benchmark,
        **kernels,
    }


class _Operations(TorchDispatchMode):
    """Notes the names of the operations that torch comes to."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def kernel(device: str, dtype: str, mode: str = "eager") -> str:
    """The operation that computes a whole torch.nn.RNN on a device, cuDNN's; or that single steps are computed."""
    rnn = torch.nn.RNN(2, 3, device=device, dtype=getattr(torch, dtype))
    with torch.no_grad(), settings(mode, device), _Operations() as seen:
        rnn(torch.zeros(2, 2, 2, device=device, dtype=getattr(torch, dtype)))
    return next((name for name in seen.names if "rnn" in name), "single steps")
