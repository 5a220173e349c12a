"""The stacks with which the search of a new study starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainstack.search.cli.common import storage as reach

if TYPE_CHECKING:
    from trainstack.search.data.dataset import Dataset
    from trainstack.search.spec import StudySpec
    from trainstack.spaces.stack import Stack


def first_trials(
    spec: StudySpec, loaded: Dataset, storage: str | None, earlier: bool
) -> list[tuple[str, Stack]]:
    """Return the stacks with which a study of loaded data starts, by label.

    Args:
        spec: The study.
        loaded: Its data.
        storage: As the user gives it.
        earlier: Whether concluded studies of the storage may add what they recommend.
    """
    from trainstack.search.evidence.earlier_studies import warm_stacks
    from trainstack.search.plan_length import training_rows
    from trainstack.search.queue.earlier_studies import earlier_studies
    from trainstack.spaces.portfolio import suited
    from trainstack.spaces.references import first_stacks, network_stacks
    from trainstack.spaces.space import Space

    if spec.stacks:
        return []
    if spec.network is not None:
        return network_stacks()
    rows = training_rows(loaded, spec.folds, spec.seed)
    numbers = loaded.inputs.numbers
    first = first_stacks(Space.from_json(spec.space), spec.data.task, rows, numbers)
    if spec.reused is not None:  # early, so that few trials compare it
        first.insert(2, ("reused", suited(spec.reused.layers.first(), rows, numbers)))
    if not earlier:
        return first
    with reach(storage) as (_, engine):
        known = earlier_studies(engine)
    return [*first, *warm_stacks(spec, rows, numbers, known, [stack for _, stack in first])]
