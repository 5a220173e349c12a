"""The report's pictures: pure functions from runs to plotly figures.

A function returns a sentence in place of a figure if there is nothing to draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainstack.search.conclusion.recommendation import Recommendation
from trainstack.search.evidence.candidates import usable
from trainstack.search.evidence.choice import Choice
from trainstack.search.evidence.comparisons import compare
from trainstack.search.evidence.deciding import heading
from trainstack.search.evidence.effects import Kind, axis_value, by_evidence
from trainstack.search.evidence.formatting import name, number, signed
from trainstack.search.records import SEARCH, Outcome, Run
from trainstack.search.report.figures import (
    INK,
    LINES,
    MAIN,
    OTHER,
    axis,
    bounds,
    curve,
    escaped,
    figure,
    finite,
    hollow,
    marks,
    note,
    rows,
    within,
    without_strays,
    zero,
)
from trainstack.search.report.inside import layers
from trainstack.search.report.predicting import prediction
from trainstack.spaces.axes import AXES
from trainstack.spaces.own_numbers import PREFIX

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Outcome of a trial → its marker.
MARKS: dict[str, dict[str, Any]] = {
    Outcome.COMPLETED: {"symbol": "circle"},
    Outcome.PRUNED: hollow("triangle-up", 9),
    Outcome.DIVERGED: hollow("x-thin"),
    Outcome.INFEASIBLE: hollow("square"),
}

Letters = Mapping[str, str]
Picture = Callable[[Sequence[Run], Recommendation, Choice, Letters], "Figure | str"]


def letters(found: Recommendation) -> dict[str, str]:
    """Map each stack's id to a letter: A is the recommended stack, the others follow by loss."""
    ids = [found.stack_id, *(row.stack_id for row in found.runners_up)]
    return {stack_id: chr(ord("A") + k) for k, stack_id in enumerate(ids)}


def progress(
    runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Letters
) -> Figure | str:
    """Draw the loss of every search trial, and the best so far."""
    trials = [r for r in runs if r.phase == SEARCH and r.outcome in MARKS]
    trials.sort(key=lambda run: run.number)
    values = finite(r.value for r in trials if r.outcome == Outcome.COMPLETED)
    if not values:
        return "No trial finished."
    ends, what = bounds(without_strays(values)), found.deciding.objective
    traces = []
    for outcome, look in MARKS.items():
        mine = [r for r in trials if r.outcome == outcome]
        heights = [_height(r, ends) for r in mine]
        hints = [f"trial {r.number}: {outcome}, {what} {number(r.value)}" for r in mine]
        trace = marks([r.number for r in mine], heights, hints, **look)
        traces += [{**trace, "name": outcome}] if mine else []
    best: list[Run] = []
    for run in trials:
        if usable(run) and (not best or (run.value or 0.0) < (best[-1].value or 0.0)):
            best.append(run)
    edge = trials[-1].number + 0.5
    steps = [(float(r.number), _height(r, ends)) for r in best]
    steps.append((edge, steps[-1][1]))
    x, y = zip(*steps, strict=True)
    traces.append({**curve(x, y, shape="hv"), "name": "best so far"})
    return figure(
        f"{heading(found.deciding.objective)} of every search trial, and the best so far",
        traces,
        *(330, {"b": 76}),
        xaxis=axis("trial", (-0.5, edge)),
        yaxis=axis(f"validation {found.deciding.objective}", ends),
        showlegend=True,
    )


def confirmation(
    runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Letters
) -> Figure | str:
    """Draw each confirmed stack against the chapter's default: seeds, mean and interval."""
    base = chosen.baseline.stack_id
    table = {
        stack_id: {j: float(r.value or 0.0) for j, r in row.items()}
        for stack_id, row in chosen.table(runs).items()
        if row
    }
    others = [i for i in names if i in table and i != base]
    if base not in table or not others:
        return "No confirmed stack to compare with the chapter's default."
    gaps = {
        i: {j: v - table[base][j] for j, v in sorted(table[i].items()) if j in table[base]}
        for i in others
    }
    against = compare(table, base, chosen.level, found.deciding.resolution)
    values = [v for row in gaps.values() for v in row.values()]
    values += [end for i in others for end in against[i].ci95 or ()]
    traces = []
    for k, stack_id in enumerate(others):
        value, row = against[stack_id], gaps[stack_id]
        color = MAIN if stack_id == found.stack.stack_id else OTHER
        if value.n:
            hint = f"{names[stack_id]}: mean {signed(value.mean)}"
            mean = marks([value.mean], [k - 0.1], [hint], symbol="diamond", size=10, color=color)
            traces.append({**mean, **_interval([value.mean], [value.ci95], color)})
        hints = [f"{names[stack_id]}, seed {j + 1}: {signed(gap)}" for j, gap in row.items()]
        height = [k + 0.22] * len(row)
        traces.append(marks(list(row.values()), height, hints, **hollow("circle", 7)))
    what = f"difference in validation {found.deciding.objective}"
    words = f"{what} (left of 0: better than the chapter's default)"
    return figure(
        f"{heading(found.deciding.objective)} minus that of the chapter's default, one point per "
        "seed, mean and 95 % interval",
        traces,
        92 + 44 * len(others),
        xaxis=axis(words, bounds([*values, 0.0])),
        yaxis=rows([f"<b>{names[i]}</b>" for i in others], tickfont={"size": 12, "color": INK}),
        shapes=[zero()],
    )


def curves(
    runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Letters
) -> Figure | str:
    """Draw validation loss over epochs of the confirmed stacks, one line per seed."""
    table = chosen.table(runs)
    lines = [
        (i, f"seed {j + 1}", r)
        for i in names
        for j, r in sorted(table.get(i, {}).items())
        if r.curve
    ]
    lines = lines or [
        (i, f"trial {r.number}", r)
        for i in names
        for r in runs
        if r.phase == SEARCH and r.stack_id == i and usable(r) and r.curve
    ]
    if not lines:
        return "No run has a learning curve."
    # The axis is fitted to the ends of the curves: the first epochs are high and uninformative.
    tails = finite(v for _, _, r in lines for v in r.curve[len(r.curve) // 4 :])
    ends = bounds(without_strays(tails))
    most = max(2, *(len(r.curve) for _, _, r in lines))
    traces, last = [], {}
    for stack_id, which, run in lines:
        known = [(k, v) for k, v in enumerate(run.curve, start=1) if finite([v])]
        hints = [f"{names[stack_id]}, {which}, epoch {k}: {number(v)}" for k, v in known]
        x, y = [k for k, _ in known], [within(v, ends) for _, v in known]
        color, dash = _line(names[stack_id])
        hover = {"hoverinfo": "text", "hovertext": hints, "opacity": 0.85}
        traces.append({**curve(x, y, color=color, dash=dash), **hover})
        last.setdefault(stack_id, []).append(run.curve[-1])
    height, taken, labels = 330, [], []
    room = 15.0 * (ends[1] - ends[0]) / (height - 92)
    for stack_id, values in last.items():
        if finite(values):
            mean = within(sum(finite(values)) / len(finite(values)), ends)
            font = {"size": 12, "weight": 600, "color": _line(names[stack_id])[0]}
            at = {"x": 1, "y": _free(mean, taken, room), "xshift": 8, "font": font}
            labels.append(note(names[stack_id], ("x domain", "y"), **at))
    return figure(
        f"Validation {found.deciding.objective} over epochs, one line per seed",
        traces,
        *(height, {"r": 36}),
        xaxis=axis("epoch", (1, most)),
        yaxis=axis(f"validation {found.deciding.objective}", ends),
        annotations=labels,
    )


def arms(
    runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Letters
) -> Figure | str:
    """Draw the search's finished trials by choice, axis by axis."""
    finished = [r for r in runs if r.phase == SEARCH and usable(r)]
    labels, x, y, hints = [], [], [], []
    own = {key: None for run in finished if run.stack for key, _ in run.stack.items}
    for axis_name in (*AXES, *(key for key in own if key.startswith(PREFIX))):
        by_choice: dict[str, list[Run]] = {}
        for run in finished:
            if run.stack is not None and run.stack.get(axis_name) is not None:
                by_choice.setdefault(name(axis_value(run.stack, axis_name)), []).append(run)
        if len(by_choice) < 2:
            continue
        labels.append(f"<b>{axis_name.replace('_', ' ')}</b>")
        ranked = sorted(by_choice.items(), key=lambda item: min(r.value or 0.0 for r in item[1]))
        for choice, made in ranked:
            y += [len(labels)] * len(made)
            x += [run.value or 0.0 for run in made]
            hints += [f"trial {run.number}: {number(run.value)}" for run in made]
            labels.append(f"{escaped(choice)} ({len(made)})")
    if not labels:
        return "The finished trials do not differ in any choice."
    ends = bounds(without_strays(finite(x)))
    return figure(
        f"Validation {found.deciding.objective} of finished search trials, by choice",
        [marks([within(v, ends) for v in x], y, hints, size=7, opacity=0.8)],
        92 + 17 * len(labels),
        xaxis=axis(f"validation {found.deciding.objective}", ends),
        yaxis=rows(labels, showgrid=True),
    )


def effects(
    runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Letters
) -> Figure | str:
    """Draw the effect of each choice: paired effects with intervals, observational ones hollow."""
    shown = [(e, e.effect) for e in by_evidence(found.effects) if e.effect is not None]
    if not shown:
        return "No choice was compared with an alternative in more than one run."
    traces = []
    for sure, look in ((True, {"symbol": "diamond", "size": 9}), (False, hollow("circle"))):
        mine = [k for k, (e, _) in enumerate(shown) if (e.kind is Kind.PAIRED) is sure]
        values, ends = [shown[k][1] for k in mine], [shown[k][0].ci95 for k in mine]
        hints = [f"{signed(shown[k][1])}, {shown[k][0].kind}" for k in mine]
        trace = marks(values, mine, hints, **look)
        traces += [{**trace, **_interval(values, ends, MAIN)}] if mine else []
    labels = [
        f"{e.axis.replace('_', ' ')}: {name(e.choice)}, not {name(e.alternative)}" for e, _ in shown
    ]
    edges = [v for e, value in shown for v in (value, *(e.ci95 or ()))]
    return figure(
        f"{heading(found.deciding.objective)} with the recommended choice minus that with the "
        "alternative",
        traces,
        92 + 26 * len(shown),
        xaxis=axis(
            f"difference in validation {found.deciding.objective} "
            "(left of 0: the choice is better)",
            *(bounds([*edges, 0.0]),),
        ),
        yaxis=rows([escaped(label) for label in labels]),
        shapes=[zero()],
    )


PICTURES: dict[str, Picture] = {
    "confirmation": confirmation,
    "curves": curves,
    "effects": effects,
    "prediction": prediction,
    "layers": layers,
    "progress": progress,
    "arms": arms,
}


def _height(run: Run, ends: tuple[float, float]) -> float:
    """Return the position of a trial; the upper edge if its loss is not finite."""
    known = finite([run.value]) if run.outcome in (Outcome.COMPLETED, Outcome.PRUNED) else []
    return within(known[0], ends) if known else ends[1]


def _interval(
    means: Sequence[float], intervals: Sequence[Sequence[float] | None], color: str
) -> dict[str, Any]:
    """Return error bars from a mean to the ends of its interval; none without an interval."""
    both = [ends or (mean, mean) for mean, ends in zip(means, intervals, strict=True)]
    above = [high - mean for mean, (_, high) in zip(means, both, strict=True)]
    below = [mean - low for mean, (low, _) in zip(means, both, strict=True)]
    bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    return {"error_x": {**bars, "thickness": 2.6, "width": 0, "color": color}}


def _line(letter: str) -> tuple[str, str]:
    """Return colour and dash of a stack's lines."""
    return LINES[min(ord(letter) - ord("A"), len(LINES) - 1)]


def _free(at: float, taken: list[float], room: float) -> float:
    """Return a free height for a label near `at`, and reserve it."""
    offsets = sorted((k * room / 2 for k in range(-16, 17)), key=abs)
    found = next((at + o for o in offsets if all(abs(at + o - t) >= room for t in taken)), at)
    taken.append(found)
    return found
