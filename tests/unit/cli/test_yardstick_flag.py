"""`launch --yardstick` and `--no-yardstick`, from the flag to the pinned spec."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import typer.testing

from tests.support.planted_study import made_up_spec
from trainstack.search.cli.main import app
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError


@pytest.mark.parametrize(
    ("flags", "expected"), [([], None), (["--yardstick"], True), (["--no-yardstick"], False)]
)
def test_the_flag_has_three_answers(
    flags: list[str], expected: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The yardstick is requested, refused, or decided by its cost."""
    asked: dict[str, Any] = {}

    def make_spec(**given: Any) -> StudySpec:
        asked.update(given)
        raise RequestError("enough")

    monkeypatch.setattr("trainstack.search.cli.study_options.make_spec", make_spec)
    typer.testing.CliRunner().invoke(app, ["launch", "wine", "--workers", "0", *flags])
    assert asked["yardstick"] is expected


def test_another_answer_is_another_request() -> None:
    """The setting is pinned: a spec reads back unchanged, and a different launch is refused."""
    spec = made_up_spec()
    without = replace(spec, yardstick=False)
    assert StudySpec.from_json(without.to_json()) == without
    assert spec.differences(without) == ["yardstick: None here, False asked"]


def test_a_study_of_an_earlier_version_asks_for_the_same() -> None:
    """A pinned spec without the setting equals a launch without the flag."""
    document = made_up_spec().to_json()
    del document["yardstick"]
    assert StudySpec.from_json(document).differences(made_up_spec()) == []
