"""`trainstack claims` from outside: a claim tested with real training, resumed, and misused."""

from __future__ import annotations

from typing import Any

import pytest

from docs.documents import DOCUMENTS
from tests.support.json_shapes import problems
from tests.support.shell import Shell, refused

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]

COMMAND = (
    *("claims", "wine", "--claim", "c7", "--claim", "C21", "--claim", "C26"),
    *("--epochs", "2", "--replicates", "2", "--workers", "1"),
)


@pytest.fixture(scope="module")
def tested(shell: Shell) -> dict[str, Any]:
    """The result of the experiment for C7 on wine."""
    return shell.json(*COMMAND)


def test_a_claim_is_tested_by_pairs_of_its_own(shell: Shell, tested: dict[str, Any]) -> None:
    """Both arms are tuned, then trained with equal seeds; a claim without arms gives a reason."""
    (table,) = [document for document in DOCUMENTS if "claims" in document.verbs]
    assert problems(table, tested) == []
    momentum, reuse, scaled = tested["claims"]
    assert (momentum["id"], momentum["n_pairs"]) == ("C7", 2)
    assert momentum["word"] in ("supported", "contradicted", "equivalent", "no evidence")
    assert (reuse["word"], reuse["reason"]) == (
        "no evidence",
        "a related task of other classes needs 4 classes, and this is 3 classes",
    )
    assert (scaled["id"], scaled["n_pairs"]) == ("C26", 2)
    assert scaled["effect"] != 0.0
    rows = shell.json("trials", tested["study"], "--confirmation")
    counts = tested["runs"]
    assert counts["at_least"] <= len(rows) <= counts["at_most"]
    assert len(rows) == counts["completed"] + counts["diverged"] + counts["infeasible"]
    first, second = (arm["stack_id"] for arm in tested["arms"][:2])
    seeds = {
        stack: {row["seed"] for row in rows if row["stack_id"] == stack and row["seed_index"] < 2}
        for stack in (first, second)
    }
    assert len(seeds[first]) == 2
    assert seeds[first] == seeds[second]
    losses = [arm["losses"] for arm in tested["arms"][:2]]
    gaps = [one - other for one, other in zip(*losses, strict=True)]
    assert momentum["effect"] == pytest.approx(sum(gaps) / 2)


def test_the_same_command_goes_on(shell: Shell, tested: dict[str, Any]) -> None:
    """The repeated command trains nothing and gives the same result as text."""
    again = shell.within(*COMMAND)
    assert again.returncode == 0
    assert f"resuming study '{tested['study']}'" in again.stderr
    assert f"C7  {tested['claims'][0]['word']}" in again.stdout
    assert f"{tested['claims'][0]['n_pairs']} pairs" in " ".join(again.stdout.split())


def test_another_experiment_needs_another_name(shell: Shell, tested: dict[str, Any]) -> None:
    """Other claims under the study's name are refused with exit code 4 and the difference."""
    other = ("claims", "wine", "--claim", "C8", "--study", tested["study"])
    assert "experiment" in refused(shell.within(*other, *COMMAND[8:]), 4)


def test_an_experiment_recommends_nothing(shell: Shell, tested: dict[str, Any]) -> None:
    """`recommend` reports that the study tests claims, with exit code 5."""
    assert "tests claims" in refused(shell.within("recommend", tested["study"]), 5)


def test_misuse_is_one_line(shell: Shell) -> None:
    """An unknown claim is refused with exit code 2 and the nearest name."""
    assert "did you mean 'C2'?" in refused(shell.within("claims", "wine", "--claim", "C2e"), 2)
