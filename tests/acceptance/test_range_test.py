"""The learning-rate range test from outside: as a verb, and before a launch."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.shell import Shell, refused
from tests.support.worker_here import everything_here
from trainstack.spaces.space import Space

pytestmark = [
    *(pytest.mark.acceptance, pytest.mark.keras),
    pytest.mark.usefixtures("workers_here"),
]

# The line of the verb and of the launch about an optimizer.
FOUND = re.compile(r"^(\w+) +(\S+) to (\S+) +largest stable (\S+)$", re.M)


def two_optimizers() -> dict[str, Any]:
    """Return a space whose learning-rate ranges are far wider than useful."""
    document = Space.named("quick").to_json()
    rates = {"low": 1e-7, "high": 50.0, "log": True}
    optimizers = {"nadam": {"learning_rate": rates}, "nesterov": {"learning_rate": dict(rates)}}
    axes = {**document["axes"], "bundle": {"self_normalizing": {}}, "optimizer": optimizers}
    axes["units"] = {"list": {"units": {"choices": [[16]]}}}
    return {**document, "name": "wide", "axes": axes}


@dataclass(frozen=True)
class Narrowed:
    """A study launched with a range test and --detach, without any training."""

    shell: Shell
    command: tuple[str, ...]
    done: Any

    def pinned(self) -> dict[str, Any]:
        """Return the stored space, as workers receive it."""
        from trainstack.search.database import embedded_postgres
        from trainstack.search.database.connection import engine, parse_url
        from trainstack.search.queue import queries

        here = engine(parse_url(embedded_postgres.url_of(self.shell.home / "postgres")))
        try:
            return dict(queries.spec_of(here, "narrowed").space)
        finally:
            here.dispose()


@pytest.fixture(scope="module")
def narrowed(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Narrowed:
    """`launch wine --range-test` over a wide space, one trial of two epochs."""
    file = tmp_path_factory.mktemp("space") / "wide.json"
    file.write_text(json.dumps(two_optimizers()), "utf-8")
    command = (
        *("launch", "wine", "--study", "narrowed", "--range-test", "--space", str(file)),
        *("--trials", "1", "--epochs", "2", "--replicates", "1", "--workers", "1"),
        *("--folds", "1"),
    )
    with pytest.MonkeyPatch.context() as patch:
        everything_here(patch)
        return Narrowed(shell, command, shell.within(*command, "--detach"))


def test_the_study_searches_the_tested_range(narrowed: Narrowed) -> None:
    """The pinned space has each optimizer's tested range and is otherwise unchanged."""
    assert narrowed.done.returncode == 0, narrowed.done.stderr
    ranges = {
        name: (float(low), float(high))
        for name, low, high, _ in FOUND.findall(narrowed.done.stderr)
    }
    assert set(ranges) == {"nadam", "nesterov"}
    asked, pinned = Space.from_json(two_optimizers()).to_json(), narrowed.pinned()
    for name, (low, high) in ranges.items():
        assert 1e-7 < low < high < 50.0
        rates = pinned["axes"]["optimizer"][name].pop("learning_rate")
        asked["axes"]["optimizer"][name].pop("learning_rate")
        assert rates == {"low": low, "high": high, "log": True}
    assert pinned["axes"] == asked["axes"]
    assert "range test" in pinned["about"]


def test_the_same_command_goes_on_without_another_test(narrowed: Narrowed) -> None:
    """The repeated command resumes the study with its stored ranges and finishes it."""
    before = narrowed.pinned()
    again = narrowed.shell.within(*narrowed.command)
    assert again.returncode == 0, again.stderr
    assert "resuming study 'narrowed'" in again.stderr
    assert not FOUND.search(again.stderr)
    assert narrowed.shell.json("status", "narrowed")["concluded"]
    assert narrowed.pinned() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [(("--trials", "3"), "trials: 1 here, 3 asked"), (("--space", "quick"), "space.")],
)
def test_another_spec_is_refused_before_any_test(
    narrowed: Narrowed, change: tuple[str, ...], message: str
) -> None:
    """If the study has another request, one line shows the difference, and no test runs."""
    assert message in refused(narrowed.shell.within(*narrowed.command, *change), 4)


def test_a_narrowed_study_is_not_the_one_without_the_test(narrowed: Narrowed) -> None:
    """Without --range-test the same launch is another request, and exits 4."""
    plain = [word for word in narrowed.command if word != "--range-test"]
    assert "range test" in refused(narrowed.shell.within(*plain), 4)


def test_what_cannot_be_tested_is_one_line(shell: Shell, tmp_path: Path) -> None:
    """A wrong path, an unknown optimizer and given stacks are refused with exit code 2."""
    assert "no/such.csv" in refused(
        shell.within("launch", tmp_path / "no/such.csv", "--target", "y", "--range-test"), 2
    )
    assert "no/such.csv" in refused(shell.within("range-test", tmp_path / "no/such.csv"), 2)
    line = refused(shell.within("range-test", "wine", "--optimizer", "adm"), 2)
    assert "did you mean 'adam" in line
    (tmp_path / "stacks.json").write_text('["chapter-default"]', "utf-8")
    assert "has no squared loss" in refused(
        shell.within("range-test", "wine", "--loss", "squared"), 2
    )
    given = ("--stacks", tmp_path / "stacks.json")
    assert "--stacks" in refused(shell.within("launch", "wine", "--range-test", *given), 2)


def test_the_verb_draws_what_it_found(shell: Shell, tmp_path: Path) -> None:
    """`range-test` prints and draws one optimizer, whose range includes its usual rate.

    The loss is the one asked for: that of an untrained network is 0.49, its cross-entropy 1.1.
    """
    picture = tmp_path / "rates.html"
    asked = ("--loss", "focal", "--class-weight", "balanced")
    done = shell.within(
        "range-test", "wine", "--optimizer", "adam", *asked, "-o", picture, "--json"
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["optimizer"] == "adam"
    assert found["low"] < found["high"]
    assert found["low"] <= 1e-3 <= found["high"]
    assert found["losses"][0] < 0.9
    assert found["rates"] == sorted(found["rates"])
    page = picture.read_text("utf-8")
    assert "Learning-rate range test on wine" in page
    assert "adam" in page.split("Plotly.newPlot(")[-1]
