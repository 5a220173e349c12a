"""`trainstack launch --stacks`: the seconds of a launch of mixed stacks.

    python -m benchmarks.launching [--repeats 3]

times the same launch on digits several times, and prints each time and the median.
`python -m benchmarks` compares such a launch with one Keras `fit` loop.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna

from benchmarks.table import Row
from trainstack.search.data.load import load
from trainstack.search.spec import StudySpec
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

STACKS, WORKERS = 24, 2


def mixed_stacks() -> list[Stack]:
    """Draw the stacks from the chapter's space with a fixed seed."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=2))
    space = Space.named("chapter")
    return [space.draw(study.ask()) for _ in range(STACKS)]


def against_a_loop(data: str, epochs: int, bar: float) -> Row:
    """Time both from command to end, each in separate processes."""
    stacks = mixed_stacks()
    spec = StudySpec("loop", load(data).describe(), {}, epochs=epochs, stacks=tuple(stacks))
    what = f"{STACKS} mixed stacks × {epochs} epochs, {data}, {WORKERS} workers"
    return against_the_loop_of(spec, what, bar)


def against_the_loop_of(spec: StudySpec, what: str, bar: float, *flags: str) -> Row:
    """Time a launch of a spec's stacks, with further flags, and a loop of `fit` over them."""
    with tempfile.TemporaryDirectory() as folder:
        ours = _launch(Path(folder), spec.data.source, spec.epochs, [*spec.stacks], *flags)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "benchmarks.plainkeras"],
        input=json.dumps(spec.to_json()),
        text=True,
        check=True,
        stderr=subprocess.DEVNULL,
    )
    theirs = time.perf_counter() - began
    return Row(
        what,
        f"{ours:.0f} s",
        f"loop of `fit`: {theirs:.0f} s",
        *(theirs / ours, bar),
    )


def _launch(folder: Path, data: str, epochs: int, stacks: list[Stack], *flags: str) -> float:
    file = folder / "stacks.json"
    file.write_text(json.dumps([stack.to_json() for stack in stacks]))
    command = [sys.executable, "-m", "trainstack.search.cli", "launch", data, "--stacks", str(file)]
    # No confirmation, as the loop has none.
    command += [f"--epochs={epochs}", f"--workers={WORKERS}", "--replicates=0", "--json"]
    command += flags
    environment = {**os.environ, "TRAINSTACK_HOME": str(folder / "home")}
    began = time.perf_counter()
    subprocess.run(
        command,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def repeatedly(repeats: int) -> None:
    """Print the seconds of several launches on digits, and their median."""
    stacks, seconds = mixed_stacks(), []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            seconds.append(_launch(Path(folder), "digits", 30, stacks))
        print(f"{seconds[-1]:.1f} s", flush=True)
    print(f"median: {statistics.median(seconds):.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeatedly(parser.parse_args().repeats)
