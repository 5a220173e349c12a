"""What `claims` says of an experiment before its runs start."""

from __future__ import annotations

import pytest

from tests.support.planted_study import made_up_spec
from trainstack.search.claims.table import CLAIMS
from trainstack.search.cli.claims import cost_lines

ODD = tuple(f"C{k}" for k in range(1, 26, 2))


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        (("C7",), "testing C7: "),
        (("C3", "C7", "C16"), "testing C3, C7, C16: "),
        (("C1", "C2", "C3", "C5", "C8", "C9"), "testing C1 to C3, C5, C8, C9: "),
        (ODD, "testing 13 claims: "),
        (tuple(CLAIMS), f"testing all {len(CLAIMS)} claims: "),
    ],
)
def test_lines_about_an_experiment_fit_80_columns(claims: tuple[str, ...], words: str) -> None:
    """They name few claims and ranges of claims, and count many; the time is a line of its own."""
    spec = made_up_spec(trials=0, experiment=claims, epochs=100)
    lines = cost_lines(spec, 1_000_000, 8)
    assert lines[0].startswith(words)
    assert lines[1].startswith("workers here: 8, roughly ")
    assert max(map(len, lines)) <= 80
