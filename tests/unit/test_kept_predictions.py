"""Predictions for validation rows in the artifact store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainstack.search.artifacts import FolderStore
from trainstack.search.kept_predictions import (
    KeptPredictions,
    read_predictions,
    write_predictions,
)


@pytest.mark.parametrize(
    ("task", "predictions"),
    [
        ("classification", np.array([[0.9999, 1e-4], [0.3, 0.7], [1.0, 0.0]])),
        ("multilabel", np.array([[0.9999, 1e-4], [0.3, 0.7], [0.5, 0.5]])),
        ("regression", np.array([1e9 + 0.125, -3.0, 0.0])),
    ],
)
def test_predictions_are_read_as_written(
    task: str, predictions: np.ndarray, tmp_path: Path
) -> None:
    """Numbers are exact; probabilities have three digits, also near 0."""
    store = FolderStore(tmp_path)
    write_predictions(store, "a/b.npz", KeptPredictions(np.array([4, 7, 9]), predictions), task)
    found = read_predictions(store, ["a/b.npz"], task)
    assert found is not None
    assert found.rows.tolist() == [4, 7, 9]
    exact = 0.0 if task == "regression" else 5e-3
    np.testing.assert_allclose(found.predictions, predictions, rtol=exact, atol=1e-12)


def test_files_are_joined_in_the_order_of_rows(tmp_path: Path) -> None:
    """A row that several files predict has the mean; every row is there once."""
    store = FolderStore(tmp_path)
    for name, rows, values in (("a", [5, 2], [1.0, 2.0]), ("b", [2, 0], [4.0, 7.0])):
        kept = KeptPredictions(np.array(rows), np.array(values))
        write_predictions(store, name, kept, "regression")
    found = read_predictions(store, ["a", "b"], "regression")
    assert found is not None
    assert found.rows.tolist() == [0, 2, 5]
    assert found.predictions.tolist() == [7.0, 3.0, 1.0]


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_a_file_that_cannot_be_read_gives_none(content: bytes | None, tmp_path: Path) -> None:
    """A file that is missing or spoilt leaves its run out."""
    store = FolderStore(tmp_path)
    if content is not None:
        (tmp_path / "a").write_bytes(content)
    assert read_predictions(store, ["a"], "regression") is None
