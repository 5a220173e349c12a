"""Limiting and releasing a trainer's memory."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import ops


def limit_memory(gpus: Sequence[Any], memory_mb: int) -> None:
    """Let the trainer allocate memory as needed, up to a limit.

    Args:
        gpus: TensorFlow's physical GPUs visible to this process; empty: limit the process itself.
        memory_mb: The limit in MiB; 0: none.
    """
    for gpu in gpus:
        if memory_mb:
            share = tf.config.LogicalDeviceConfiguration(memory_limit=memory_mb)
            tf.config.set_logical_device_configuration(gpu, [share])
        else:
            tf.config.experimental.set_memory_growth(gpu, True)
    if memory_mb and not gpus:
        import resource  # not on Windows

        # Not the address space: threads and libraries reserve far more of it than they use.
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb << 20, most))


def forget_dropped_graphs() -> None:
    """Release the memory of traced functions that are no longer referenced.

    TensorFlow keeps them: each use of `tf.custom_gradient` while tracing (an optimizer's update is
    one) stays registered and holds its graph, and kernels stay with the device. Both are needed
    only while a graph is traced or run; functions in use create their kernels again.
    """
    registered = ops.gradient_registry
    for name in [n for n in registered.list() if n.startswith("CustomGradient-")]:
        del registered._registry[name]
    gc.collect()
    if (here := context.context()) is not None:
        here.clear_kernel_cache()
