"""TensorFlow's memory settings for a GPU, without a GPU."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

from trainstack.workers.engine.memory import limit_memory

pytestmark = pytest.mark.keras


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The calls of TensorFlow's memory functions."""
    calls: list[tuple[Any, ...]] = []
    for owner, name in (
        (tf.config, "set_logical_device_configuration"),
        (tf.config.experimental, "set_memory_growth"),
    ):
        monkeypatch.setattr(
            owner, name, lambda *arguments, name=name: calls.append((name, *arguments))
        )
    return calls


def test_memory_grows(calls: list[tuple[Any, ...]]) -> None:
    """Without a limit a trainer allocates memory as needed."""
    limit_memory(["a gpu"], 0)
    assert calls == [("set_memory_growth", "a gpu", True)]


def test_memory_is_shared_by_a_limit(calls: list[tuple[Any, ...]]) -> None:
    """With a limit a trainer has a device with that much memory."""
    limit_memory(["a gpu"], 512)
    ((name, gpu, (device,)),) = calls
    assert (name, gpu, device.memory_limit) == ("set_logical_device_configuration", "a gpu", 512)
