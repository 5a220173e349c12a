"""Compare rules that choose an ensemble's members, on launches whose homes were kept.

    python -m benchmarks.ensembling HOMES -o FILE
    python -m benchmarks.ensembling FILE

HOMES is the folder that `python -m benchmarks.launches … --homes HOMES` wrote. Of every launch in
it the best CANDIDATES candidates are trained as for the export, and asked for the test rows; the
validation predictions are those that the search kept. FILE gets the test loss of the mean network
of the average, and of each rule's ensemble, before calibration. A file alone is printed as a table
of losses relative to the average's, with their geometric mean.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

CANDIDATES = 20
Loss = Callable[[np.ndarray], float]


def plainly(predictions: Sequence[np.ndarray], loss: Loss, most: int) -> np.ndarray:
    """Return the counts of a greedy choice that starts from nothing, the former rule."""
    from trainstack.search.evidence.greedy import ROUNDS

    counts, total = np.zeros(len(predictions)), np.zeros_like(predictions[0])
    best, found = math.inf, counts.copy()
    for size in range(1, ROUNDS + 1):
        full = (counts > 0).sum() >= most
        tried = [
            math.inf if full and not counts[k] else loss((total + p) / size)
            for k, p in enumerate(predictions)
        ]
        k = int(np.argmin(tried))
        counts[k] += 1
        total = total + predictions[k]
        if tried[k] < best:
            best, found = tried[k], counts.copy()
    return found


def best_of(predictions: Sequence[np.ndarray], loss: Loss, most: int) -> np.ndarray:
    """Return one for each of the best candidates."""
    order = np.argsort([loss(p) for p in predictions], kind="stable")
    return np.isin(np.arange(len(predictions)), order[:most]).astype(float)


def rules() -> dict[str, Callable[..., Any]]:
    """Return the rules: predictions for validation rows and their loss → counts."""
    from trainstack.search.evidence.greedy import greedy

    found: dict[str, Callable[..., Any]] = {}
    for most in (5, 10):
        found[f"greedy, {most}"] = partial(plainly, most=most)
        found[f"best {most}"] = partial(best_of, most=most)
        found[f"from the best half, {most}"] = partial(greedy, most_members=most)
    return found


def study_of(home: Path) -> tuple[Any, Any]:
    """Return the spec of a home's study, and what its measurement was made of."""
    from sqlalchemy import select

    from trainstack.search.cli.common import storage
    from trainstack.search.database.schema import studies, tasks
    from trainstack.search.payloads import MeasurementPayload
    from trainstack.search.spec import StudySpec

    os.environ["TRAINSTACK_HOME"] = str(home)
    with storage(None) as (_, engine), engine.connect() as connection:
        spec = connection.execute(select(studies.c.spec)).scalar_one()
        payload = connection.execute(
            select(tasks.c.payload).where(tasks.c.kind == "measurement")
        ).scalar_one()
    return StudySpec.from_json(spec), MeasurementPayload.from_json(payload)


def recorded(home: Path) -> dict[str, Any]:
    """Return the test loss of the average, of its networks, and of each rule's ensemble."""
    from trainstack.workers.tasks.jobs import JobBench
    from trainstack.workers.tasks.making import Maker
    from trainstack.workers.tasks.measure import confirmation_runs
    from trainstack.workers.tasks.metrics import Scorer
    from trainstack.workers.tasks.refit import refitted

    spec, asked = study_of(home)
    bench = JobBench(spec, 1, str(home / "artifacts"))
    maker = Maker(bench, asked, confirmation_runs(bench, asked.runs[asked.chosen.stack_id]))
    split, _ = bench.split(None, asked.chosen)
    scorer = Scorer.of(spec, split)

    def on_test(stack: Any, refits: Any) -> list[np.ndarray | None]:
        return [
            None
            if made is None
            else split.predictions(made[0].outputs(made[1].prepare(made[1].x_test)))
            for made in refitted(bench, stack, refits)
        ]

    def loss(p: np.ndarray) -> float:
        return scorer.figures(scorer.of_predictions(p), "test")["loss"]

    tried = [
        (valid, *on_test(one.stack, [one.refit])) for one, valid in maker.candidates[:CANDIDATES]
    ]
    kept = [(valid, p) for valid, p in tried if p is not None]
    seeds = [p for p in on_test(asked.chosen, asked.refits) if p is not None]
    found = {"networks": fmean(map(loss, seeds)), "average": loss(np.mean(seeds, axis=0))}
    for name, rule in rules().items():
        counts = rule([valid.p for valid, _ in kept], partial(maker.objective, slice(None)))
        found[name] = loss(np.average([p for _, p in kept], axis=0, weights=counts))
    return {"launch": home.name, "candidates": len(kept), "loss": found}


def lines(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the table."""
    names = [name for name in records[0]["loss"] if name != "average"]
    yield f"| launch | candidates | {' | '.join(names)} |"
    yield "| --- " + "| ---: " * (len(names) + 1) + "|"
    ratios = {
        name: [record["loss"][name] / record["loss"]["average"] for record in records]
        for name in names
    }
    for place, record in enumerate(records):
        cells = " | ".join(f"{ratios[name][place]:.3f}" for name in names)
        yield f"| {record['launch']} | {record['candidates']} | {cells} |"
    means = " | ".join(f"{math.exp(fmean(map(math.log, ratios[name]))):.3f}" for name in names)
    yield f"| geometric mean | | {means} |"


def main() -> None:
    """Record launches that are not recorded yet, or print the table of a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    file = given.output or given.place
    known = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    if given.output is None:
        print("\n".join(lines(known)))
        return
    for home in sorted(given.place.iterdir()):
        if home.name not in {record["launch"] for record in known}:
            with file.open("a") as stream:
                print(json.dumps(recorded(home)), file=stream, flush=True)
            print(home.name, flush=True)


if __name__ == "__main__":
    main()
