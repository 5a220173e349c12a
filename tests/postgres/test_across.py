"""`recommend --across` on studies in a real storage: document, text, and refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import URL

from tests.support.studies import DATA, completed, open_client, spec_of
from trainstack.search.cli.main import run
from trainstack.search.studies.actions import create_study
from trainstack.spaces.references import CHAPTER_DEFAULT, REFERENCES

pytestmark = pytest.mark.postgres


SEVERAL_TARGETS: list[dict[str, Any]] = [
    {
        "target": ("a", "b"),
        "task": "multilabel",
        "classes": (),
        "labels": (("no", "yes"), ("0", "1")),
    },
    {"target": ("p", "q"), "task": "regression", "classes": ()},
]


def study(url: URL, name: str, data: str, losses: list[float], **described: Any) -> None:
    """A study whose first reference stacks ended with these losses."""
    made = replace(DATA, source=data, fingerprint=data, **described)
    create_study(url, spec_of(name, trials=2, data=made))
    here = open_client(url, name)
    for loss in losses:
        lease = here.claim()
        assert lease is not None
        here.finish(lease, completed(loss))


@pytest.mark.parametrize("described", [{}, *SEVERAL_TARGETS], ids=["one", "labels", "quantities"])
def test_studies_are_compared_without_training(
    described: dict[str, Any], url: URL, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unconfirmed studies give the stack with the least regret, for one target or several."""
    study(url, "first", "digits", [0.5, 0.4], **described)
    study(url, "second", "wine", [0.5, 0.25], **described)
    storage = ["--storage", url.render_as_string(hide_password=False)]
    assert run(["recommend", "--across", "first", "second", "--json", *storage]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["data"] == ["digits", "wine"]
    assert found["stack"] == [*REFERENCES.values()][1].to_json()
    default = found["stacks"][-1]
    assert default["stack"] == CHAPTER_DEFAULT.to_json()
    assert default["mean_regret"] == pytest.approx((0.25 + 1.0) / 2)
    assert [row["regret"] for row in found["leave_one_out"]] == [0.0, 0.0]
    assert run(["recommend", "first", "second", "--across", *storage]) == 0
    assert "mean regret" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [
        (["--across", "first", "nosuch"], 4, "nosuch"),
        (["--across", "first"], 2, "two studies or more"),
        (["first", "second"], 2, "--across"),
        (["--across", "first", "empty"], 5, "no evidence"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    url: URL, capsys: pytest.CaptureFixture[str], names: list[str], code: int, message: str
) -> None:
    """An unknown study, too few, several without the flag, or no common stack give one line each,
    with the documented exit code."""
    study(url, "first", "digits", [0.5])
    study(url, "empty", "wine", [])
    assert (
        run(["recommend", *names, "--storage", url.render_as_string(hide_password=False)]) == code
    )
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err
    assert output.err.count("\n") == 1
