"""The conclusion as one sentence."""

from __future__ import annotations

from trainstack.search.evidence.choice import Choice
from trainstack.search.evidence.deciding import BY_LOSS, Deciding
from trainstack.search.evidence.estimates import Estimate, Verdict
from trainstack.search.evidence.formatting import about, describe, interval, number, seeds


def sentence(
    chosen: Choice,
    word: Verdict,
    objective: Estimate,
    difference: Estimate,
    deciding: Deciding = BY_LOSS,
) -> str:
    """Return the conclusion in one sentence, with the difference and its interval.

    Args:
        chosen: The outcome of the race.
        word: The verdict.
        objective: The chosen stack's confirmed objective.
        difference: Its objective minus that of the chapter's default.
        deciding: What decides the study.
    """
    value, difference = deciding.value(objective), deciding.difference(difference)
    head = f"Use {describe(chosen.stack, deciding.network)}"
    if chosen.stack == chosen.baseline:
        head = f"Use the chapter's default: {describe(chosen.stack, deciding.network)}"
    if not value.n:
        return f"{head}; no seed has confirmed it."
    head += f": validation {deciding.figure} {about(value)} over {seeds(value.n)}"
    if chosen.stack == chosen.baseline:
        others = chosen.compared - 1
        if not others:
            return f"{head}. Nothing else " + (
                "keeps the constraints." if chosen.barred else "finished."
            )
        tried = "the other stack" if others == 1 else f"any of the {others} other stacks"
        return f"{head}. Nothing shows {tried} confirmed to be better."
    if not difference.n:
        return f"{head}; the chapter's default has no run to compare it with."
    side = "lower" if difference.mean < 0 else "higher"
    gap = f"{number(abs(difference.mean))} {side} than the chapter's default"
    if difference.ci95 is None:
        return f"{head}, {gap}; one pair of runs cannot tell whether that is luck."
    if word in (Verdict.BETTER, Verdict.WORSE):
        ends = sorted(abs(e) for e in difference.ci95)
        return f"{head}, {number(abs(difference.mean))} {side} (95 % interval " + (
            f"{interval(ends)}) than the chapter's default."
        )
    ends = f"95 % interval of the difference {interval(difference.ci95)}"
    is_equivalent = word is Verdict.EQUIVALENT
    meaning = "equivalent to it within the margin" if is_equivalent else "which may be luck"
    return f"{head}, {gap}, {meaning} ({ends})."
