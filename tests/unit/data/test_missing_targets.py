"""Which cells of a target column hold a value."""

from __future__ import annotations

import pandas as pd
import pytest

from trainstack.search.data.missing_targets import holds_target

TEXTS = pd.Series(["1", "NA", "", "none", "green"])


@pytest.mark.parametrize(
    ("known", "held"),
    [
        ((), [True, False, False, False, True]),
        (("none", "green"), [True, False, False, True, True]),
        (("NA", "1"), [True, True, False, False, True]),
    ],
)
def test_a_word_for_missing_is_a_value_only_as_a_class(
    known: tuple[str, ...], held: list[bool]
) -> None:
    """New rows whose target is NA have none, unless training had the class NA."""
    assert holds_target(TEXTS, known).tolist() == held
