"""The recommendation as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from trainstack.search.conclusion.decision_text import decision_line
from trainstack.search.conclusion.models import default_line, table
from trainstack.search.conclusion.recommendation import Recommendation
from trainstack.search.conclusion.trivial import trivial_line
from trainstack.search.conclusion.yardsticks import yardstick_line
from trainstack.search.evidence.estimates import Estimate
from trainstack.search.evidence.formatting import about, interval, signed
from trainstack.search.evidence.prediction import sentences
from trainstack.spaces.portfolio import MEASURED_DEFAULT

_WIDTH = 79


def lines_beside(found: Recommendation) -> list[str]:
    """Return the yardsticks of a recommendation, one line each; those that were measured."""
    lines = (
        measured_default_line(found),
        trivial_line(found.trivial, found.deciding),
        yardstick_line(found.yardstick, found.deciding, found.models),
    )
    return [line for line in lines if line]


def measured_default_line(found: Recommendation) -> str:
    """Return the measured default in one line; empty if it was not confirmed."""
    name = f"{MEASURED_DEFAULT}, the best stack on other tables"
    for candidate in found.choice.candidates:
        if candidate.label == MEASURED_DEFAULT and candidate.stack == found.stack:
            return f"The recommended stack is {name}."
    for row in found.runners_up:
        if row.label == MEASURED_DEFAULT and row.validation.loss.n:
            shown = found.deciding.shown
            parts = (f"{what} {_score(row.validation.figure(what))}" for what in shown)
            return f"{name}: validation {', '.join(parts)}."
    return ""


def text_of(found: Recommendation) -> str:
    """Return the recommendation as plain text for a terminal of 80 columns."""

    def wrapped(text: str, first: str = "", rest: str = "") -> str:
        return textwrap.fill(text, _WIDTH, initial_indent=first, subsequent_indent=rest)

    lines = [wrapped(found.sentence), ""]
    if decided := decision_line(found):
        lines += [wrapped(decided), ""]
    if found.reasons:
        lines += [wrapped(" ".join(found.reasons)), ""]
    base = found.baseline
    itself = found.stack == base.stack  # one column suffices
    rows: list[tuple[str, str, str]] = [
        ("", "chapter's default", "") if itself else ("", "recommended", "chapter's default")
    ]
    for part, mine, other in (
        ("validation", found.validation, base.validation),
        ("test", found.test, base.test),
    ):
        for what in found.deciding.shown:
            one, two = mine.figure(what), other.figure(what)
            rows.append((f"{part} {what}", _score(one), "" if itself else _score(two)))
    if not itself:
        deciding = found.deciding
        for part, gap in (("", found.difference), ("test ", found.difference_on_test)):
            if part and not gap.n_pairs:
                continue
            value = deciding.difference(Estimate(gap.mean, gap.ci95, gap.n_pairs))
            shown = f"{signed(value.mean)} ({interval(value.ci95, signed)})"
            rows.append((f"difference in {part}{deciding.figure}", shown, ""))
    width = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
    lines += [f"  {a:<{width[0]}}  {b:<{width[1]}}  {c}".rstrip() for a, b, c in rows]
    for texts in (lines_beside(found), sentences(found.measured)):
        if texts:
            lines += ["", *(wrapped(text) for text in texts)]
    if models := table(found.models, found.deciding):
        lines += ["", *_aligned(models), wrapped(default_line(found.models))]
    if found.warnings:
        lines += ["", "Caveats:"]
        lines += [wrapped(w, "  - ", "    ") for w in found.warnings]
    lines += ["", f"Reproduce: {found.replay}"]
    return "\n".join(lines)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return rows of cells as lines: the first column to the left, the others to the right.

    The last word of a heading has a line of its own if the rows would be too wide.
    """
    if sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True)) > _WIDTH:
        parts = [heading.rpartition(" ") for heading in rows[0]]
        rows = [tuple(part[0] for part in parts), tuple(part[2] for part in parts), *rows[1:]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        ("  " + "  ".join([first.ljust(widths[0]), *map(str.rjust, cells, widths[1:])])).rstrip()
        for first, *cells in rows
    ]


def _score(score: Estimate) -> str:
    return f"{about(score, 4)} (n = {score.n})" if score.n else "–"
