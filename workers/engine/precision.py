"""Checking that a device supports mixed precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from trainstack.spaces.errors import RequestError

# Lowest compute capability of NVIDIA GPUs that multiply bfloat16 (CUDA C++ Programming Guide,
# "Arithmetic Instructions").
LEAST_CAPABILITY = (8, 0)
# Linux's names of the processor instructions for bfloat16.
CPU_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")


def check_precision(precision: str, gpus: Sequence[Any], cpu_info: str = "/proc/cpuinfo") -> None:
    """Refuse mixed precision on a device that would have to emulate it.

    Args:
        precision: One of `trainstack.search.spec.PRECISIONS`.
        gpus: TensorFlow's physical GPUs visible to this process; empty: check the processor.
        cpu_info: File in which the system describes its processors.

    Raises:
        RequestError: A device here has no bfloat16 arithmetic.
    """
    if precision != "mixed":
        return
    lacking = [gpu.name for gpu in gpus if not _gpu_has_it(gpu)]
    if not gpus and not _cpu_has_it(Path(cpu_info)):
        lacking = ["this processor"]
    if lacking:
        raise RequestError(
            f"precision 'mixed', but {lacking[0]} has no bfloat16 arithmetic",
            "an NVIDIA GPU of compute capability 8.0 or a processor with avx512_bf16",
            "launch a study with --precision float32, or work on it elsewhere",
        )


def _gpu_has_it(gpu: Any) -> bool:
    details = tf.config.experimental.get_device_details(gpu)
    return tuple(details.get("compute_capability", (0, 0))) >= LEAST_CAPABILITY


def _cpu_has_it(cpu_info: Path) -> bool:
    words = set(cpu_info.read_text("utf-8").split()) if cpu_info.is_file() else set()
    return any(flag in words for flag in CPU_FLAGS)
