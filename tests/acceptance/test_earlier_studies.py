"""A search that starts from what earlier studies of the storage recommend."""

from __future__ import annotations

import pytest

from tests.support.shell import Shell
from tests.support.worker_here import concluded

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]


def test_a_search_starts_from_what_an_earlier_study_recommends(shell: Shell) -> None:
    """The stack is a first trial of the next study and named in its conclusion; a flag forbids it.

    The earlier study trains one stack that is not among the first ones of a search.
    """
    canned = shell.canned(epoch_seconds=0.0)
    path = shell.home / "one.json"
    path.write_text('["tanh-glorot-momentum"]', "utf-8")
    quick = ("--epochs", "2", "--replicates", "0", "--no-yardstick")
    modern = ("--trials", "10", "--space", "modern", "--folds", "1", *quick)
    concluded(canned, "wine", "--stacks", path, "--folds", "1", *quick)
    concluded(canned, "breast-cancer", "--study", "warm", *modern)
    said = canned.within("recommend", "warm").stdout
    assert "earlier studies recommend: wine" in " ".join(said.split())
    found = {row["label"]: row["stack"] for row in canned.json("trials", "warm")}
    (earlier,) = canned.json("trials", "wine")
    assert found["earlier: wine"] == earlier["stack"]
    assert canned.json("recommend", "warm")["earlier_studies"] == ["wine"]
    concluded(canned, "breast-cancer", "--study", "cold", "--no-earlier-studies", *modern)
    assert not any("earlier" in (row["label"] or "") for row in canned.json("trials", "cold"))
    assert "earlier studies" not in canned.within("recommend", "cold").stdout
