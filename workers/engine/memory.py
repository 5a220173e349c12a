"""How much memory a trainer may take."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import ops


def limit_memory(gpus: Sequence[Any], memory_mb: int) -> None:
    """Let the trainer take memory as it needs it, up to a limit.

    Args:
        gpus: TensorFlow's physical GPUs that this process sees; empty: the limit is on the process.
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

        # Not the address space, of which threads and libraries reserve far more than they use.
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb << 20, most))


def forget_dropped_graphs() -> None:
    """Take back the memory of traced functions that nobody refers to any more.

    TensorFlow itself keeps them: each use of `tf.custom_gradient` while tracing (an optimizer's
    update is one) stays registered for good and holds its graph, and kernels stay with the device.
    Both are needed only while a graph is traced or run; living functions make their kernels anew.
    """
    registered = ops.gradient_registry
    for name in [n for n in registered.list() if n.startswith("CustomGradient-")]:
        del registered._registry[name]
    gc.collect()
    if (here := context.context()) is not None:
        here.clear_kernel_cache()
