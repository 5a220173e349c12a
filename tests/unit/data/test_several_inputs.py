"""Archives with several inputs: read side by side, with names and shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainstack.search.data.channels import by_channel
from trainstack.search.data.load import load
from trainstack.search.data.own_inputs import inputs_of
from trainstack.search.data.shared_arrays import packed, unpacked
from trainstack.spaces.errors import RequestError

ROWS = 60
RNG = np.random.default_rng(0)
IMAGE, TABLE = RNG.normal(size=(ROWS, 4, 3, 2)), RNG.normal(5.0, 3.0, size=(ROWS, 5))
LABELS = np.arange(ROWS) % 2


def saved(folder: Path, **changes: Any) -> str:
    """Write an archive with two inputs; return its path."""
    arrays = {"x_train_image": IMAGE, "x_train_table": TABLE, "y_train": LABELS}
    kept = {name: a for name, a in {**arrays, **changes}.items() if a is not None}
    np.savez(folder / "two.npz", **kept)
    return str(folder / "two.npz")


def test_inputs_are_side_by_side_in_a_row(tmp_path: Path) -> None:
    """A row has the numbers of each input in the order of the archive, which the data remembers."""
    dataset = load(saved(tmp_path))
    assert inputs_of(dataset).shapes == (("image", (4, 3, 2)), ("table", (5,)))
    np.testing.assert_array_equal(dataset.x[:, :24], IMAGE.reshape(ROWS, 24))
    np.testing.assert_array_equal(dataset.x[:, 24:], TABLE)
    assert dataset.columns[23:25] == ("image23", "table0")


def test_shared_data_keeps_the_inputs(tmp_path: Path) -> None:
    """What another machine gets has the same inputs and the same fingerprint."""
    dataset = load(saved(tmp_path))
    again = unpacked(packed(dataset), dataset.source, None, "")
    assert again.named_inputs == dataset.named_inputs
    assert again.fingerprint == dataset.fingerprint


def test_the_printed_code_loads_the_same(tmp_path: Path) -> None:
    """The lines of Python for exported programs give the same rows."""
    dataset = load(saved(tmp_path))
    found: dict[str, Any] = {}
    exec("\n".join(dataset.python), found)
    np.testing.assert_array_equal(found["x_train"], dataset.x)


def test_channels_are_standardised_and_features_by_themselves(tmp_path: Path) -> None:
    """Positions of a channel share their statistics, those of the training rows."""
    dataset = load(saved(tmp_path))
    split = by_channel(dataset.split(0), [shape for _, shape in inputs_of(dataset).shapes])
    x = split.prepare(split.x_train)
    image, table = x[:, :24].reshape(-1, 2), x[:, 24:]
    for part in (image, table):
        np.testing.assert_allclose(part.mean(0), 0.0, atol=1e-5)
        np.testing.assert_allclose(part.std(0), 1.0, rtol=1e-5)
    raw = split.x_train[:, :24].reshape(-1, 2)
    expected = (raw - raw.mean(0)) / raw.std(0)
    np.testing.assert_allclose(image, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": TABLE}, "holds 'x_train' beside several inputs"),
        ({"x_test_image": IMAGE, "y_test": LABELS}, "lacks x_test_table"),
        ({"x_train_table": TABLE[:-1]}, "image 60, x_train_table 59"),
        ({"y_train": None}, "lacks y_train"),
        ({"x_valid_imag": IMAGE, "y_valid": LABELS}, "holds 'x_valid_imag'"),
        ({"x_train_table": TABLE.astype(str)}, "x_train_table holds"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(tmp_path: Path, changes: dict, message: str) -> None:
    """Every part has every input with as many rows; the message names what does not fit."""
    with pytest.raises(RequestError, match=message):
        load(saved(tmp_path, **changes))
