"""The decision about a stack in words for readers without statistics."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from trainstack.search.evidence.decision import MOST_SEEDS
from trainstack.search.evidence.estimates import Interval
from trainstack.search.evidence.formatting import seeds

if TYPE_CHECKING:
    from trainstack.search.conclusion.recommendation import Recommendation

# Above this no more digits are given.
MOST_SURE = 0.999
# Length of an interval of relative gains from which it says nothing about the gain.
MOST_LENGTH = 1.0


def decision_line(found: Recommendation) -> str:
    """Return the decision in a few short sentences; empty if there is none."""
    decision = found.decision
    if decision is None or decision.gain is None:
        return ""
    what = found.deciding.objective
    head = f"Against the chapter's default: {_size(decision.gain, what)}"
    if found.stack == found.baseline.stack:
        best = next(c for c in found.choice.candidates if c.stack_id == decision.stack_id)
        which = best.label if best.number is None else f"trial {best.number}"
        head = f"The best of the others, {which}: {_size(decision.gain, what)} than the default"
    runs = "run" if decision.n_pairs == 1 else "runs"
    parts = [f"{head}; better in {decision.pairs_better} of {decision.n_pairs} paired {runs}"]
    if decision.probability_better is not None and decision.ci95 is not None:
        parts[0] += f"; we are {_surely(decision.probability_better)}, {_range(decision.ci95)}"
    parts[0] += "."
    more = decision.would_decide
    if more is not None:
        time = "" if more.seconds is None else f" ({duration(more.seconds)} of training)"
        total = decision.n_pairs + more.seeds
        command = f"trainstack confirm {shlex.quote(found.study)} --replicates {total}"
        parts.append(f"About {seeds(more.seeds)} more{time} would decide: {command}")
    elif _is_open(decision.ci95, found.equivalence_margin):
        parts.append(f"It would take more than {MOST_SEEDS} seeds to decide.")
    return " ".join(parts)


def risk_line(found: Recommendation) -> str:
    """Return the probability of a gain of the margin and the expected loss; empty if unknown."""
    decision = found.decision
    if decision is None or decision.probability_better_by_margin is None:
        return ""
    stack = "That stack" if found.stack == found.baseline.stack else "It"
    margin = _percent(found.equivalence_margin)
    line = f"{stack} is better by at least {margin} with a probability of "
    line += _probability(decision.probability_better_by_margin)
    if decision.expected_loss is not None:
        what = found.deciding.objective
        line += "; choosing it is expected to cost "
        line += f"{_percent(decision.expected_loss)} of the default's {what}, "
        line += "counting 0 where it is better"
    return f"{line}."


def _probability(share: float) -> str:
    """Return a probability in percent.

    >>> _probability(0.93), _probability(0.99999), _probability(0.0001)
    ('93 %', 'more than 99.9 %', 'less than 0.1 %')
    """
    if share > MOST_SURE:
        return f"more than {100 * MOST_SURE:g} %"
    if share < 1.0 - MOST_SURE:
        return f"less than {100 * (1.0 - MOST_SURE):.1g} %"
    return _percent(share)


def _is_open(gain: Interval | None, margin: float) -> bool:
    """Tell whether an interval of relative gains decides nothing.

    >>> _is_open((-0.1, 0.2), 0.05), _is_open((-0.01, 0.02), 0.05), _is_open((0.1, 0.2), 0.05)
    (True, False, False)
    """
    return gain is not None and gain[0] <= 0.0 <= gain[1] and max(-gain[0], gain[1]) > margin


def duration(seconds: float) -> str:
    """Return a duration with two digits at most.

    >>> duration(0.4), duration(42.0), duration(150.0), duration(9000.0)
    ('1 s', '42 s', '2.5 min', '2.5 h')
    """
    if seconds < 90.0:
        return f"{max(1.0, seconds):.0f} s"
    return f"{seconds / 60:.2g} min" if seconds < 5400.0 else f"{seconds / 3600:.2g} h"


def _size(gain: float, what: str) -> str:
    side = "lower" if gain >= 0.0 else "higher"
    return f"{_percent(abs(gain))} {side} {what}"


def _surely(probability: float) -> str:
    """Return how sure we are, of the more probable side.

    >>> _surely(0.987), _surely(0.2)
    ('99 % sure that it is better', '80 % sure that it is not better')
    >>> _surely(0.9999)
    'more than 99.9 % sure that it is better'
    """
    side = "better" if probability >= 0.5 else "not better"
    share = max(probability, 1.0 - probability)
    if share > MOST_SURE:
        return f"more than {100 * MOST_SURE:g} % sure that it is {side}"
    digits = 0 if share < 0.99 else 1
    return f"{100 * share:.{digits}f} % sure that it is {side}"


def _range(gain: Interval) -> str:
    """Return the interval of a gain in words.

    >>> _range((0.15, 0.35)), _range((-0.05, 0.4)), _range((-0.3, -0.1))
    ('by 15 to 35 %', 'between 5 % worse and 40 % better', 'worse by 10 to 30 %')
    >>> _range((-3.9, 2.9))
    'but these runs cannot say by how much'
    """
    low, high = gain
    if high - low > MOST_LENGTH:
        return "but these runs cannot say by how much"
    if low >= 0.0:
        return f"by {_digits(low)} to {_percent(high)}"
    if high <= 0.0:
        return f"worse by {_digits(-high)} to {_percent(-low)}"
    return f"between {_percent(-low)} worse and {_percent(high)} better"


def _percent(share: float) -> str:
    """Return a share in percent: whole from ten on, else with two digits.

    >>> _percent(0.264), _percent(0.0512), _percent(0.00123)
    ('26 %', '5.1 %', '0.12 %')
    """
    return f"{_digits(share)} %"


def _digits(share: float) -> str:
    percent = 100.0 * share
    return f"{percent:.0f}" if percent >= 9.95 else f"{percent:.2g}"
