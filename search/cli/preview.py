"""`launch --preview`: what would be trained, whether each arm works, and the estimated time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trainstack.search.cli.common import err, number, out, print_json, seconds
from trainstack.search.cli.worker_request import answers
from trainstack.search.preview import Sample, Tried, covering, singled_out, trial_seconds
from trainstack.spaces.errors import RequestError, TrainstackError
from trainstack.spaces.space import Space

if TYPE_CHECKING:
    from trainstack.search.spec import StudySpec

# Most causes named in the error message.
MOST_TOLD = 3


def preview(spec: StudySpec, workers: int, as_json: bool) -> None:
    """Try what a launch would train and print its estimated cost; nothing is created.

    Args:
        spec: Spec of the study.
        workers: Number of workers that would train.
        as_json: Print one JSON document.

    Raises:
        RequestError: An arm, or a given stack, cannot be trained here.
    """
    space = Space.from_json(dict(spec.space))
    samples = [Sample(stack) for stack in spec.stacks] or covering(space)
    what = "given stacks" if spec.stacks else f"stacks that hold every arm of '{space.name}'"
    err().print(f"one batch of each of {len(samples)} {what}", markup=False)
    tried = try_all(spec, samples, workers)
    refused = [t for t in tried if t.cause]
    if not spec.stacks and refused:
        good = [t.sample for t in tried if not t.cause]
        single = [one for t in refused for one in singled_out(space, t.sample, good)]
        # Test each arm once.
        unique = {tuple(one.arms): one for one in single}
        alone = try_all(spec, list(unique.values()), workers)
        tried += alone
        refused = [t for t in alone if t.cause] or refused
    document = _document(spec, tried, refused, workers)
    if as_json:
        print_json(document)
    else:
        out().print("\n".join(_lines(spec, document)), markup=False)
    if refused:
        causes = "; ".join(f"{_name(t)} ({t.cause})" for t in refused[:MOST_TOLD])
        more = f" and {len(refused) - MOST_TOLD} more" if len(refused) > MOST_TOLD else ""
        raise RequestError(
            f"cannot be trained here: {causes}{more}", hint="remove it, or make it smaller"
        )


def try_all(spec: StudySpec, samples: Sequence[Sample], workers: int) -> list[Tried]:
    """Build samples in a separate process, restarted after a sample that crashes it.

    Raises:
        RequestError: The data here is not the study's.
    """
    from trainstack.search.cli.local_workers import cores

    threads = max(1, cores() // max(1, workers))
    tried: list[Tried] = []
    while len(tried) < len(samples):
        rest = samples[len(tried) :]
        request = {
            "spec": spec.to_json(),
            "stacks": [sample.stack.to_json() for sample in rest],
            "threads": threads,
        }
        try:
            for sample, found in zip(
                rest, answers("trainstack.workers.tasks.preview", request), strict=False
            ):
                tried.append(Tried(sample, **found))
        except TrainstackError as error:
            if type(error) is not TrainstackError:
                raise
            # The process was killed, for example by the system for lack of memory.
            tried.append(Tried(samples[len(tried)], cause=str(error)))
    return tried


def _name(tried: Tried) -> str:
    arms = tried.sample.arms
    return ", ".join(arms) if arms else f"stack {tried.sample.stack.stack_id}"


def _document(
    spec: StudySpec, tried: Sequence[Tried], refused: Sequence[Tried], workers: int
) -> dict[str, Any]:
    """Return what `launch --preview --json` prints."""
    estimate = None
    if any(not t.cause for t in tried):
        mean = trial_seconds(tried, spec.epochs)
        whole = spec.trials * mean / max(1, workers)
        limit = spec.timeout_seconds
        estimate = {
            "trial_seconds": mean,
            "search_seconds": whole if limit is None else min(whole, limit),
        }
    return {
        "study": spec.study,
        "data": dataclasses.asdict(spec.data),
        "space": spec.space["name"],
        "budget": {"trials": spec.trials, "timeout_seconds": spec.timeout_seconds},
        "epochs": spec.epochs,
        "replicates": spec.replicates,
        "workers": workers,
        "tried": [
            {
                "arms": list(t.sample.arms),
                "stack": t.sample.stack.to_json(),
                "stack_id": t.sample.stack.stack_id,
                "cause": t.cause or None,
                "build_seconds": t.build_seconds,
                "epoch_seconds": t.epoch_seconds,
                "parameters": t.parameters,
            }
            for t in tried
        ],
        "refused": [{"what": _name(t), "cause": t.cause} for t in refused],
        "estimate": estimate,
    }


def _lines(spec: StudySpec, document: dict[str, Any]) -> list[str]:
    """Return a preview as lines of text."""
    what = f"{len(spec.stacks)} given stacks" if spec.stacks else f"space '{document['space']}'"
    lines = [
        f"{spec.study}: {what} on {spec.data.source}, {spec.trials} trials of at most "
        f"{spec.epochs} epochs, then {spec.replicates} fresh seeds for each stack confirmed"
    ]
    if not spec.stacks:
        for axis, arms in Space.from_json(dict(spec.space)).arms.items():
            if len(arms) > 1:
                lines.append(f"  {axis}: {', '.join(arms)}")
    worked = [row for row in document["tried"] if not row["cause"]]
    lines.append(f"one batch: {len(worked)} of {len(document['tried'])} stacks work")
    lines += [f"  cannot be trained: {row['what']} ({row['cause']})" for row in document["refused"]]
    if worked:
        sizes = [row["parameters"] for row in worked]
        epochs = [row["epoch_seconds"] for row in worked]
        lines.append(f"  weights: {min(sizes):,} to {max(sizes):,}")
        lines.append(f"  an epoch: {number(min(epochs), 3)} to {number(max(epochs), 3)} s here")
        lines.append(
            f"search: about {seconds(document['estimate']['search_seconds'])} with "
            f"{document['workers']} workers if no trial ended early; most do. The confirmation "
            "comes on top."
        )
    lines.append("nothing was created")
    return lines
