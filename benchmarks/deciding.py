"""As many pairs as decide: error rates and power on planted truth.

    python -m benchmarks.deciding [STUDIES] [-o FILE]

Simulated runs (`tests.support.planted_study`) go through the product's race, its further seeds and
its choice. Four stacks are confirmed beside the default, or one; effects are in deviations of one
run over seeds. Nothing is trained. FILE keeps what was simulated, which is not simulated again;
`benchmarks/results/deciding.jsonl` is that of the figures in docs/method.md.

Columns: `better`: studies that call the recommended stack better, and are right if there is a gain.
`open`: those whose comparison with the default stays undecided. `together`: all intervals against
the default hold; `single`: one of them; `one look`: together, at the level of a single look; `own`:
one of them at that level, without a correction for several stacks.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.support.planted_study import (
    ADAM,
    EXPONENTIAL,
    LAST,
    NEIGHBOURS,
    Planted,
    made_up_spec,
)
from trainstack.search.evidence import extension
from trainstack.search.evidence.candidates import confirmed, losses
from trainstack.search.evidence.choice import Choice
from trainstack.search.evidence.comparisons import compare, contrast, verdict
from trainstack.search.evidence.estimates import Estimate, Verdict
from trainstack.search.evidence.race import _settled, race
from trainstack.search.records import CONFIRMATION, Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT

STUDIES, DEVIATION, MOST = 400, 0.02, 40
# The better stack comes first.
STACKS = (LAST, ADAM, EXPONENTIAL, NEIGHBOURS[-1])
# Studies that are simulated, and kept, together.
BLOCK = 25
# A simulated run takes about a second and a half, and a search of five some eight.
RULES: dict[str, dict[str, Any]] = {
    "once": {"most_replicates": 5},
    "decided": {"most_replicates": MOST, "confirm_seconds": 1e9},
    "in time": {"most_replicates": MOST, "confirm_seconds": 40.0},
}
# Rule → the rule of its launch, and the seeds of the `confirm` that follows unless it is better.
AGAIN = {"again": ("once", 20), "in time, again": ("in time", MOST)}


@dataclass(frozen=True)
class Cell:
    """A kind of study.

    Attributes:
        rule: One of RULES or AGAIN.
        gain: By how many deviations one of the stacks is better.
        shared: Part of the variance that stacks with one seed share.
        uneven: As for `Planted`.
        stacks: Number of stacks beside the default.
    """

    rule: str
    gain: float
    shared: float
    uneven: float = 0.0
    stacks: int = 4


CELLS = (
    *(Cell("decided", 1.0, shared) for shared in (0.0, 0.5, 0.8)),
    *(Cell("decided", 0.0, shared) for shared in (0.0, 0.5, 0.8)),
    *(Cell("decided", 0.0, shared, 0.5) for shared in (0.0, 0.8)),
    *(Cell("decided", 1.0, shared, stacks=1) for shared in (0.0, 0.5)),
    *(Cell("in time", gain, 0.5) for gain in (0.0, 1.0)),
    *(Cell(rule, 0.0, 0.5) for rule in AGAIN),
    *(Cell("once", 1.0, shared) for shared in (0.0, 0.5, 0.8)),
    *(Cell("once", 0.0, 0.5), Cell("once", 0.0, 0.8, 0.5)),
)


@dataclass
class Tally:
    """Sums over the studies of a cell, by the columns of the table."""

    studies: int = 0
    better: int = 0
    open: int = 0
    together: int = 0
    single: int = 0
    one_look: int = 0
    own: int = 0
    intervals: int = 0
    runs: int = 0
    seeds: int = 0

    def add(self, other: Tally) -> None:
        """Add another's sums."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def line(self) -> str:
        """Return the rates, as below HEAD."""
        n, m = self.studies, max(1, self.intervals)
        rates = self.better / n, self.open / n, self.together / n, self.single / m
        shown = "".join(f"{rate:9.3f}" for rate in (*rates, self.one_look / n, self.own / m))
        return f"{shown}{self.runs / n:7.1f}{self.seeds / n:7.1f}"


RATES = ("better", "open", "together", "single", "one look", "own")
HEAD = (
    f"{'rule':<15}{'stacks':>6}{'gain':>5}{'shared':>7}{'uneven':>7}"
    f"{''.join(f'{name:>9}' for name in RATES)}{'runs':>7}{'seeds':>7}"
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
    whole = extension._look

    @functools.wraps(whole)
    def once(*given: Any) -> Any:
        if given[-1] not in looked:
            looked[given[-1]] = whole(*given)
        return looked[given[-1]]

    with patch.object(extension, "_look", once):
        yield


def block(cell: Cell, seeds: range) -> Tally:
    """Simulate the studies of a cell with these seeds."""
    planted = Planted({"dropout": {"last": -cell.gain * DEVIATION}}, 0.5, DEVIATION, cell.shared)
    rule, again = AGAIN.get(cell.rule, (cell.rule, 0))
    stacks = (CHAPTER_DEFAULT, *STACKS[: cell.stacks])
    total = Tally()
    for seed in seeds:
        world = replace(planted, world=seed, uneven=cell.uneven)
        spec = made_up_spec(space={"axes": {}}, trials=len(stacks), seed=seed, **RULES[rule])
        runs, found = _concluded(world, spec, world.search(spec, stacks))
        if again and found.stack == CHAPTER_DEFAULT:
            spec = replace(spec, least_replicates=again, most_replicates=again)
            runs, found = _concluded(world, spec, runs)
        total.add(_about(world, runs, found, cell.gain))
    return total


def _concluded(planted: Planted, spec: StudySpec, runs: Sequence[Run]) -> tuple[list[Run], Choice]:
    """Return the runs with those of the race, and the choice of the race."""
    with looking_once():
        found = confirm(planted, spec, list(runs))
        chosen = _settled(spec, found)
    assert chosen is not None
    return found, chosen


def _about(world: Planted, runs: Sequence[Run], found: Choice, gain: float) -> Tally:
    """Return the tally of one study."""
    rows, default = losses(confirmed(found.candidates, runs)), CHAPTER_DEFAULT.stack_id
    against = compare(rows, default, found.level)
    truth = {c.stack_id: world.truth(c.stack) - world.base for c in found.candidates}
    at_once = compare(rows, default)
    base = rows[default]
    alone = {
        name: contrast([(name, default, j, row[j] - base[j]) for j in row if j in base], rows)
        for name, row in rows.items()
        if name != default
    }
    best = found.stack.stack_id
    if best == default:
        best = min(against, key=lambda name: against[name].mean)
    word = verdict(against[best], sum(base.values()) / len(base))
    right = found.stack != CHAPTER_DEFAULT and (not gain or found.stack["dropout"] == "last")
    holds, once, own = (_holding(values, truth) for values in (against, at_once, alone))
    return Tally(
        studies=1,
        better=right and word is Verdict.BETTER,
        open=word is Verdict.UNDECIDED,
        together=all(holds),
        single=sum(holds),
        one_look=all(once),
        own=sum(own),
        intervals=len(holds),
        runs=sum(run.phase == CONFIRMATION for run in runs),
        seeds=max(map(len, rows.values())),
    )


def _holding(values: Mapping[str, Estimate], truth: Mapping[str, float]) -> list[bool]:
    """Tell of each interval whether it contains the truth."""
    return [(v.low or 0.0) <= truth[name] <= (v.high or 0.0) for name, v in values.items()]


def simulate(studies: int, kept: Path | None) -> Iterator[tuple[Cell, Tally]]:
    """Yield each cell with its tally; blocks that are kept are read."""
    lines = kept.read_text("utf-8").splitlines() if kept and kept.exists() else []
    known = {(Cell(**row["cell"]), row["first"]): row["tally"] for row in map(json.loads, lines)}
    for cell in CELLS:
        total = Tally()
        for first in range(0, studies, BLOCK):
            if (cell, first) in known:
                total.add(Tally(**known[cell, first]))
                continue
            found = block(cell, range(first, min(studies, first + BLOCK)))
            total.add(found)
            if kept:
                row = {"cell": asdict(cell), "first": first, "tally": asdict(found)}
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
        yield cell, total


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", type=int, nargs="?", default=STUDIES)
    parser.add_argument("-o", type=Path, default=None, metavar="FILE")
    asked = parser.parse_args()
    print(f"{asked.studies} studies each\n{HEAD}", flush=True)
    for cell, total in simulate(asked.studies, asked.o):
        what = f"{cell.rule:<15}{cell.stacks:6d}{cell.gain:5g}{cell.shared:7g}{cell.uneven:7g}"
        print(f"{what}{total.line()}", flush=True)


if __name__ == "__main__":
    main()
