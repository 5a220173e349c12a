"""Why a stack was chosen, in sentences."""

from __future__ import annotations

from trainstack.search.evidence.candidates import departures
from trainstack.search.evidence.deciding import BY_LOSS, Deciding
from trainstack.search.evidence.formatting import number
from trainstack.search.evidence.picking import Picked


def reasons(
    picked: Picked,
    compared: int,
    because: str | None,
    price: float | None = None,
    deciding: Deciding = BY_LOSS,
) -> tuple[str, ...]:
    """Return self-contained sentences on why a stack was chosen.

    Args:
        picked: The chosen stack, and what its choice rests on.
        compared: Number of compared stacks.
        because: Sentence on the spared figure, if any (`spared`).
        price: `StudySpec.simplicity`.
        deciding: What decides the study.
    """
    chosen, leader, level = picked.chosen, picked.leader, picked.level
    among, apart = picked.among, picked.apart
    if compared == 1:
        return ("There was nothing else to choose from.",)
    if price is not None:
        return (
            f"With each departure from the default priced at {number(price)} % of its "
            f"{deciding.objective}, it costs least of the {compared} stacks compared.",
        )
    if len(level) == 1 and chosen is leader:
        return (
            f"Its confirmed {deciding.figure} is the {deciding.best} of the {compared} stacks "
            "compared, and every other one can be told from it.",
        )
    same = f"{len(level)} of the {compared} stacks compared cannot be told from the best"
    if because is not None:
        simple = f"{same}; of those{among} {because}."
    elif chosen.is_baseline:
        return (f"{same}; the chapter's default is one of them, and it is the simplest.",)
    else:
        count = len(departures(chosen.stack))
        axes = "axis" if count == 1 else "axes"
        simple = (
            f"{same}; of those{among} this one departs least from the default ({count} {axes})."
        )
    if chosen is leader:
        return (simple, f"It is also the one with the {deciding.best} confirmed {deciding.figure}.")
    gap, side = apart[chosen.stack_id].mean, "higher" if deciding.rises else "lower"
    best = f"The {deciding.best} confirmed {deciding.figure}"
    return (simple, f"{best} was {gap:.3g} {side}, within its interval.")
