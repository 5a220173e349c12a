"""Keras's settings do not depend on a user's environment and configuration."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainstack.workers.engine.keras_settings import absent

pytestmark = pytest.mark.keras

ASKED = {"floatx": "float64", "epsilon": 0.1, "image_data_format": "channels_first"}
SHOW = """
import os
from trainstack.workers.engine.keras_settings import set_keras
before = dict(os.environ)
set_keras()
before["TF_CPP_MIN_LOG_LEVEL"] = "3"
assert {k: os.environ.get(k) for k in before} == before
import keras
layer = keras.layers.Dense(1)
layer.build((None, 1))
c = keras.config
print(c.backend(), c.floatx(), c.epsilon(), c.image_data_format(), c.dtype_policy().name, \
layer.kernel.dtype, c.max_epochs())
"""


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        (
            {**ASKED, "backend": "torch", "nnx_enabled": True},
            {"KERAS_BACKEND": "jax", "KERAS_MAX_EPOCHS": "1"},
        ),
        ({"floatx": "float128", "backend": "no-such"}, {}),
    ],
    ids=["another taste", "unknown to Keras"],
)
def test_nothing_is_inherited(
    tmp_path: Path, document: dict[str, object], variables: dict[str, str]
) -> None:
    """Backend, precision and the rest are Keras's defaults, and the variables are unchanged."""
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(document), "utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_")}
    places = {"HOME": str(tmp_path), "KERAS_HOME": str(tmp_path / ".keras")}
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        env={**clean, **places, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        *("tensorflow", "float32", "1e-07", "channels_last", "float32", "float32", "None")
    ]
    written = json.loads((tmp_path / ".keras" / "keras.json").read_text("utf-8"))
    assert written == document


def test_an_absent_module_can_be_imported_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its import fails as if it were not installed, and works later; a known module stays."""
    (tmp_path / "optional_pictures.py").write_text("", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with absent("optional_pictures"), pytest.raises(ImportError):
        importlib.import_module("optional_pictures")
    importlib.import_module("optional_pictures")
    with absent("optional_pictures"):
        importlib.import_module("optional_pictures")
    del sys.modules["optional_pictures"]
