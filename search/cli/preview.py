"""`launch --preview`: what would be trained, whether each arm works, and the estimated time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainstack.search.cli.common import err, number, out, print_json, seconds
from trainstack.search.cli.own_network import numbers_told
from trainstack.search.cli.worker_request import answers
from trainstack.search.preview import Sample, Tried, covering, singled_out
from trainstack.search.preview_record import Preview, name_of, preview_of
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
    err().print(f"a few steps of each of {len(samples)} {what}", markup=False)
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
    found = preview_of(spec, tried, refused, workers)
    if as_json:
        print_json(found)
    else:
        out().print("\n".join(_lines(spec, found)), markup=False)
    if refused:
        causes = "; ".join(f"{name_of(t.sample)} ({t.cause})" for t in refused[:MOST_TOLD])
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


def _lines(spec: StudySpec, found: Preview) -> list[str]:
    """Return a preview as lines of text."""
    count = spec.folds * spec.repeats
    on = f" on {count} folds" if count > 1 else ""
    what = f"{len(spec.stacks)} given stacks" if spec.stacks else f"space '{found.space}'"
    lines = [
        f"{spec.study}: {what} on {spec.data.source}",
        f"{spec.trials} trials of at most {spec.epochs} epochs{on}, then {spec.replicates} fresh "
        "seeds for each stack confirmed",
    ]
    if not spec.stacks:
        for axis, arms in Space.from_json(dict(spec.space)).arms.items():
            if len(arms) > 1:
                lines.append(f"  {axis}: {', '.join(arms)}")
        lines += [f"  {line}" for line in numbers_told(Space.from_json(dict(spec.space)).network)]
    worked = [row for row in found.tried if not row.cause]
    lines.append(f"tried: {len(worked)} of {len(found.tried)} stacks work")
    lines += [f"  cannot be trained: {row.what} ({row.cause})" for row in found.refused]
    if found.estimate:
        sizes = [row.parameters for row in worked]
        epochs = [row.epoch_seconds for row in worked]
        lines.append(f"  weights: {min(sizes):,} to {max(sizes):,}")
        lines.append(f"  an epoch: {number(min(epochs), 3)} to {number(max(epochs), 3)} s here")
        lines.append(
            f"search: about {seconds(found.estimate.search_seconds)} with "
            f"{found.workers} workers if no trial ended early; most do. The confirmation "
            "comes on top."
        )
    lines.append("nothing was created")
    return lines
