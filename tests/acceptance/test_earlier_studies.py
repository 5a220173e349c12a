"""A search that starts from what earlier studies of the storage recommend."""

from __future__ import annotations

import pytest

from tests.support.shell import Shell

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]


def test_a_search_starts_from_what_an_earlier_study_recommends(shell: Shell) -> None:
    """The stack is a first trial of the next study and named in its conclusion; a flag forbids it.

    The earlier study trains one stack that is not among the first ones of a search.
    """
    canned = shell.canned(epoch_seconds=0.0)
    path = shell.home / "one.json"
    path.write_text('["tanh-glorot-momentum"]', "utf-8")
    quick = ("--epochs", "2", "--replicates", "0", "--workers", "1", "--no-yardstick")
    modern = ("--trials", "10", "--space", "modern", "--folds", "1", *quick)
    done = canned.run("launch", "wine", "--stacks", path, "--folds", "1", *quick)
    assert done.returncode == 0, done.stderr
    done = canned.run("launch", "breast-cancer", "--study", "warm", *modern)
    assert done.returncode == 0, done.stderr
    assert "earlier studies recommend: wine" in " ".join(done.stdout.split())
    found = {row["label"]: row["stack"] for row in canned.json("trials", "warm")}
    (earlier,) = canned.json("trials", "wine")
    assert found["earlier: wine"] == earlier["stack"]
    assert canned.json("recommend", "warm")["earlier_studies"] == ["wine"]
    done = canned.run("launch", "breast-cancer", "--study", "cold", "--no-earlier-studies", *modern)
    assert done.returncode == 0, done.stderr
    assert not any("earlier" in (row["label"] or "") for row in canned.json("trials", "cold"))
    assert "earlier studies" not in done.stdout
