"""The rule that chooses among confirmed stacks, by its regret on recorded runs.

    python -m benchmarks.choosing [STUDIES]

The losses of the recorded stacks (`benchmarks/results/atlas`), on the validation and on the test
part, are the truth of simulated studies, one data set after the other. A study searches twelve of
its stacks, confirms the best with fresh seeds and chooses, all by the product's own code; the noise
of a run, and the part of it that stacks with one seed share, are those of the data set's recorded
seeds. Regret is the test loss of the chosen stack over that of the best of the confirmed ones.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks.atlas.records import BASELINE, Run, runs
from benchmarks.deciding import confirm
from tests.support.planted_study import Planted, made_up_spec
from trainstack.search.evidence.race import choice
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.spaces.stack import Stack

STUDIES, SEARCHED, SEEDS = 25, 12, 3
_MORE: dict[str, Any] = {"most_replicates": 40, "confirm_seconds": 60.0}
# Rule → the flags of a study.
RULES: dict[str, dict[str, Any]] = {
    "five seeds": {"most_replicates": 5},
    "default": _MORE,
    **{f"simplicity {price:g} %": {**_MORE, "simplicity": price} for price in (0, 0.25, 0.5, 1, 2)},
}


@dataclass(frozen=True)
class World(Planted):
    """A data set's recorded stacks as the truth.

    Attributes:
        valid: Stack's id → validation loss.
        tested: Stack's id → test loss.
        stacks: The stacks, the chapter's default first.
    """

    valid: Mapping[str, float] = field(default_factory=dict)
    tested: Mapping[str, float] = field(default_factory=dict)
    stacks: tuple[Stack, ...] = ()

    def truth(self, stack: Stack) -> float:
        """Return the recorded validation loss of a stack."""
        return self.valid[stack.stack_id]


def world_of(found: Sequence[Run]) -> World:
    """Return the world of a data set's runs.

    The variance of a run about its stack's mean, over the stacks with all seeds, has a part that is
    the seed's: the variance of the seeds' means over stacks, less what their own noise gives it.
    """
    rows: dict[str, list[Run]] = defaultdict(list)
    for run in found:
        if run.finished:
            rows[run.name].append(run)
    stacks = {name: Stack.from_json(of[0].stack) for name, of in rows.items()}
    stacks[BASELINE] = CHAPTER_DEFAULT
    means = {
        part: {
            stacks[name].stack_id: float(np.mean([getattr(r, part)["loss"] for r in of]))
            for name, of in rows.items()
        }
        for part in ("valid", "test")
    }
    whole = [
        [run.valid["loss"] for run in sorted(of, key=lambda r: r.seed)]
        for of in rows.values()
        if len(of) == SEEDS
    ]
    losses = np.array(whole)  # [S, 3]
    noise = losses - losses.mean(axis=1, keepdims=True)
    variance = float((noise**2).sum() / (len(losses) * (SEEDS - 1)))
    own = noise - noise.mean(axis=0)
    alone = float((own**2).sum() / ((len(losses) - 1) * (SEEDS - 1)))
    shared = min(1.0, max(0.0, 1.0 - alone / variance))
    others = (stack for name, stack in stacks.items() if name != BASELINE)
    return World(
        deviation=variance**0.5,
        shared=shared,
        valid=means["valid"],
        tested=means["test"],
        stacks=(CHAPTER_DEFAULT, *others),
    )


@dataclass
class Tally:
    """What a rule's studies came to: regrets, runs of the confirmation, choices of the default."""

    regret: list[float] = field(default_factory=list)
    runs: list[int] = field(default_factory=list)
    default: list[bool] = field(default_factory=list)

    def line(self) -> str:
        """Return the means, and the standard error of the regret over studies."""
        error = float(np.std(self.regret) / len(self.regret) ** 0.5)
        return (
            f"{100 * np.mean(self.regret):8.2f}{100 * error:8.2f}"
            f"{100 * np.mean(self.default):10.0f}{np.mean(self.runs):8.1f}"
        )


def study(world: World, seed: int, rule: str, total: Tally) -> None:
    """Run a study on a world, and add what it came to."""
    default, *others = world.stacks
    rng = np.random.default_rng([seed, len(others)])
    drawn = [others[k] for k in rng.permutation(len(others))[: SEARCHED - 1]]
    asked = RULES[rule]
    spec = made_up_spec(space={"axes": {}}, trials=SEARCHED, seed=seed, **asked)
    done = confirm(world, spec, world.search(spec, [default, *drawn]))
    found = choice(spec, done)
    assert found is not None
    least = min(world.tested[c.stack_id] for c in found.candidates)
    total.regret.append(world.tested[found.stack.stack_id] / least - 1.0)
    total.runs.append(len(done) - SEARCHED)
    total.default.append(found.stack == CHAPTER_DEFAULT)


def main(studies: int = STUDIES) -> None:
    """Print the table."""
    by_data: dict[str, list[Run]] = defaultdict(list)
    for run in runs():
        by_data[run.data].append(run)
    worlds = {
        name: replace(world_of(found), world=k) for k, (name, found) in enumerate(by_data.items())
    }
    print(f"{studies} studies on each of {len(worlds)} data sets")
    print(f"{'rule':<18}{'regret':>8}{'+/-':>8}{'default':>10}{'runs':>8}   (percent)", flush=True)
    for rule in RULES:
        total = Tally()
        for world in worlds.values():
            for seed in range(studies):
                study(world, seed, rule, total)
        print(f"{rule:<18}{total.line()}", flush=True)


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]))
