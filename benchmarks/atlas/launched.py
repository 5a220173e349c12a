"""Compare replayed searches with real ones: which trials are pruned, what is found, and when.

    python -m benchmarks.atlas.launched TABLES -o FILE [--data concrete vehicle] [--seeds 0 1]
    python -m benchmarks.atlas.launched FILE

TABLES is a folder of Parquet files whose last column is the target. Each table and seed is
searched twice by a real launch with two workers and random stacks of `chapter`, most of which are
then the same, on one part held out: without a pruner, and with `asha`. The curves of the first
launch are replayed with the rule of the second (`benchmarks.atlas.simulation`). FILE keeps what was
launched, which is not launched again; a file alone is printed as a table.

Columns: `same`: trials with the same stack in both launches; `alike`: those of them with the same
fate in launch and replay; `pruned`: trials that were pruned; `best`: the least validation loss of a
finished trial; `seconds`: those of the busiest worker's trials.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.atlas.simulation import Trial, search
from benchmarks.launches import target_of
from trainstack.search.sampling.pruning import PRUNERS
from trainstack.spaces.portfolio import MEASURED_DEFAULT
from trainstack.spaces.stack import Stack

DATA, SEEDS, TRIALS, RULES = ("concrete", "vehicle"), (0, 1), 24, ("none", "asha")
# Trials with these labels are never pruned.
KEPT = ("chapter-default", MEASURED_DEFAULT)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Figures:
    """What a search did.

    Attributes:
        pruned: Numbers of the trials that were pruned.
        best: Least objective of the trials that finished.
        seconds: Seconds of the trials of the busiest worker.
    """

    pruned: frozenset[int]
    best: float
    seconds: float


def launched(tables: Path, data: str, seed: int, rule: str) -> list[dict[str, Any]]:
    """Search a table with random stacks and return its trials."""
    with tempfile.TemporaryDirectory() as home:
        command = str(Path(sys.executable).with_name("trainstack"))

        def run(*words: str) -> str:
            environment = {**os.environ, "TRAINSTACK_HOME": home}
            asked = {"env": environment, "cwd": home, "stdout": subprocess.PIPE}
            return subprocess.run([command, *words], check=True, text=True, **asked).stdout

        table = str(tables / f"{data}.parquet")
        flags = ["--sampler", "random", "--pruner", rule, "--workers", "2", "--study", "s"]
        flags += ["--trials", str(TRIALS), "--seed", str(seed), "--replicates", "0"]
        flags += ["--space", "chapter", "--folds", "1"]
        flags += ["--no-models", "--no-yardstick", "--target", target_of(tables, data)]
        run("launch", table, *flags)
        rows = json.loads(run("trials", "s", "--json"))
        epochs = json.loads(run("status", "s", "--json"))["epochs"]
    kept = ("number", "label", "outcome", "value", "curve", "seconds", "stack", "worker")
    for row in rows:
        row["planned"] = Stack.from_json(row["stack"]).planned_epochs(epochs)
    return [{name: row[name] for name in ("planned", *kept)} for row in rows]


def trial_of(row: Row) -> Trial:
    """Return a finished trial of a launch for the replay; its curve ends where it stopped."""
    losses = tuple(math.inf if loss is None else loss for loss in row["curve"])
    training = row["seconds"]["train"]
    build, epoch = row["seconds"]["total"] - training, training / max(1, len(losses))
    stack = Stack.from_json(row["stack"])
    return Trial(str(row["number"]), stack, row["planned"], losses, build, epoch)


def real(rows: Sequence[Row]) -> Figures:
    """Return the figures of a launch; its seconds are the busiest worker's."""
    busy: dict[str, float] = {}
    for row in rows:
        busy[row["worker"]] = busy.get(row["worker"], 0.0) + row["seconds"]["total"]
    finished = [row["value"] for row in rows if row["outcome"] == "completed"]
    pruned = frozenset(row["number"] for row in rows if row["outcome"] == "pruned")
    return Figures(pruned, min(finished), max(busy.values()))


def replayed(rows: Sequence[Row], rule: str) -> Figures:
    """Return the figures of the replay of a launch without pruning, by a rule."""
    kept = [str(row["number"]) for row in rows if row["label"] in KEPT]
    ended = search([trial_of(row) for row in rows], PRUNERS[rule], workers=2, kept=kept)
    return Figures(
        frozenset(int(e.trial.name) for e in ended if e.pruned),
        min(e.trial.loss for e in ended if not e.pruned),
        max(e.at for e in ended),
    )


def lines(document: Mapping[str, Mapping[str, Sequence[Row]]]) -> list[str]:
    """Return the table."""
    text = [
        "| data | seed | trials | same | alike | pruned: real | replayed | best: real | replayed "
        "| seconds: real | replayed |",
        "| --- |" + " ---: |" * 10,
    ]
    for name, of_rule in document.items():
        data, seed = name.rsplit("-", 1)
        theirs, ours = real(of_rule["asha"]), replayed(of_rule["none"], "asha")
        each = zip(of_rule["none"], of_rule["asha"], strict=True)
        same = {a["number"] for a, b in each if a["stack"] == b["stack"]}
        counts = len(of_rule["none"]), len(same), len(same - (theirs.pruned ^ ours.pruned))
        cells = [data, seed, *map(str, (*counts, len(theirs.pruned), len(ours.pruned)))]
        cells += [f"{theirs.best:.4f}", f"{ours.best:.4f}"]
        cells += [f"{theirs.seconds:.0f}", f"{ours.seconds:.0f}"]
        text.append(f"| {' | '.join(cells)} |")
    return text


def main() -> None:
    """Launch what the file does not hold yet, or print what was launched."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--data", nargs="*", default=[*DATA])
    parser.add_argument("--seeds", type=int, nargs="*", default=[*SEEDS])
    given = parser.parse_args()
    path: Path = given.output or given.source
    document = json.loads(gzip.decompress(path.read_bytes())) if path.exists() else {}
    if given.output is None:
        print("\n".join(lines(document)))
        return
    for seed in given.seeds:
        for data in given.data:
            if f"{data}-{seed}" in document:
                continue
            document[f"{data}-{seed}"] = {
                rule: launched(given.source, data, seed, rule) for rule in RULES
            }
            text = json.dumps(document, separators=(",", ":"))
            path.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
