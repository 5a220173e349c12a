"""As many pairs as decide: error rates and power on planted truth.

    python -m benchmarks.deciding [STUDIES]

Simulated runs (`tests.support.planted_study`) go through the product's race, its further seeds and
its choice. Five stacks are confirmed, the default among them; effects are in deviations of one run
over seeds. Nothing is trained.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from tests.support.planted_study import Planted, made_up_spec, neighbours
from trainstack.search.evidence import extension
from trainstack.search.evidence.candidates import confirmed, losses
from trainstack.search.evidence.comparisons import compare
from trainstack.search.evidence.race import choice, race
from trainstack.search.records import CONFIRMATION, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT

STUDIES, DEVIATION, MOST = 400, 0.02, 40
# A simulated run takes about a second and a half, and a search of five some eight.
RULES: dict[str, dict[str, Any]] = {
    "once": {"most_replicates": 5},
    "decided": {"most_replicates": MOST, "confirm_seconds": 1e9},
    "in time": {"most_replicates": MOST, "confirm_seconds": 40.0},
}
# Rule, gain of one stack in deviations, shared part of the variance, unevenness of the noise.
CELLS = (
    *(("decided", 1.0, 0.0, 0.0), ("decided", 1.0, 0.5, 0.0), ("decided", 1.0, 0.8, 0.0)),
    *(("decided", 0.0, 0.8, 0.5), ("decided", 0.0, 0.5, 0.0), ("decided", 0.0, 0.8, 0.0)),
    *(("again", 0.0, 0.5, 0.0), ("in time", 0.0, 0.5, 0.0), ("decided", 0.0, 0.0, 0.0)),
    *(("once", 1.0, 0.0, 0.0), ("once", 1.0, 0.5, 0.0), ("once", 1.0, 0.8, 0.0)),
)


@dataclass
class Tally:
    """Sums over the studies of a cell."""

    better: int = 0
    together: int = 0
    held: int = 0
    intervals: int = 0
    runs: int = 0
    seeds: int = 0

    def line(self, studies: int) -> str:
        """Return the rates: better, intervals together, single ones, runs, seeds."""
        single = self.held / max(1, self.intervals)
        return (
            f"{self.better / studies:7.3f}{self.together / studies:10.3f}{single:8.3f}"
            f"{self.runs / studies:8.1f}{self.seeds / studies:8.1f}"
        )


def confirm(planted: Planted, spec: StudySpec, runs: list[Run]) -> list[Run]:
    """Return the runs with those of the race, without ablations."""
    found = list(runs)
    with looking_once():
        while not (standing := race(spec, found)).done:
            found += [
                planted.run(p.stack, p.seed, len(found), p.seed_index, p.label)
                for p in standing.wanted
            ]
    return found


@contextmanager
def looking_once() -> Iterator[None]:
    """Compute each look once; it depends on the runs below it only, and these no longer change."""
    looked: dict[float, Any] = {}
    whole = extension._still_open

    @functools.wraps(whole)
    def once(*given: Any) -> Any:
        if given[-1] not in looked:
            looked[given[-1]] = whole(*given)
        return looked[given[-1]]

    with patch.object(extension, "_still_open", once):
        yield


def cell(studies: int, rule: str, size: float, shared: float, uneven: float) -> Tally:
    """Simulate studies in which one of four stacks is better by `size` deviations.

    Args:
        studies: Number of studies.
        rule: One of RULES, or `again`: five seeds at the usual level, then `confirm` up to twenty
            on those that are not decided.
        size: Gain in deviations.
        shared: Part of the variance that stacks with one seed share.
        uneven: As for `Planted`.
    """
    total = Tally()
    planted = Planted({"dropout": {"last": -size * DEVIATION}}, 0.5, DEVIATION, shared)
    asked = RULES["once" if rule == "again" else rule]
    for seed in range(studies):
        world = replace(planted, world=seed, uneven=uneven)
        spec = made_up_spec(space={"axes": {}}, trials=5, seed=seed, **asked)
        runs = confirm(world, spec, world.search(spec, [CHAPTER_DEFAULT, *neighbours(4)]))
        found = choice(spec, runs)
        assert found is not None
        if rule == "again" and found.stack == CHAPTER_DEFAULT:
            spec = replace(spec, least_replicates=20, most_replicates=20)
            runs = confirm(world, spec, runs)
            found = choice(spec, runs)
            assert found is not None
        rows = losses(confirmed(found.candidates, runs))
        against = compare(rows, CHAPTER_DEFAULT.stack_id, found.level)
        truth = {c.stack_id: world.truth(c.stack) - world.base for c in found.candidates}
        holds = [(v.low or 0.0) <= truth[k] <= (v.high or 0.0) for k, v in against.items()]
        total.together += all(holds)
        total.held += sum(holds)
        total.intervals += len(holds)
        right = size == 0.0 or found.stack["dropout"] == "last"
        if found.stack != CHAPTER_DEFAULT and right:
            total.better += (against[found.stack.stack_id].high or 0.0) < 0.0
        total.runs += sum(r.phase == CONFIRMATION for r in runs)
        total.seeds += max(map(len, rows.values()))
    return total


def main(studies: int = STUDIES) -> None:
    """Print the table."""
    head = f"{'rule':<10}{'gain':>5}{'shared':>8}{'uneven':>8}{'better':>8}{'together':>10}"
    print(f"{studies} studies each\n{head}{'single':>8}{'runs':>8}{'seeds':>8}", flush=True)
    for rule, size, shared, uneven in CELLS:
        row = cell(studies, rule, size, shared, uneven).line(studies)
        print(f"{rule:<10}{size:5g}{shared:8g}{uneven:8g} {row}", flush=True)


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]))
