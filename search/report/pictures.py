"""The report's pictures: pure functions from runs to SVG text. None fails for want of runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from search.evidence.candidates import confirmed
from search.evidence.effects import PAIRED, axis_value
from search.evidence.plan import Choice
from search.evidence.recommendation import Recommendation
from search.evidence.statistics import compare
from search.evidence.words import name, number, signed
from search.records import SEARCH, Run
from search.report import svg
from search.report.inside import layers
from search.report.predicting import prediction
from spaces.axes import AXES

WIDTH, LEFT, RIGHT, TOP = 720.0, 64.0, 700.0, 30.0
MARKS = {"completed": "circle", "pruned": "triangle", "diverged": "cross", "infeasible": "cross"}

Letters = Mapping[str, str]
Picture = Callable[[Sequence[Run], Recommendation, Choice, Letters], str]


def letters(found: Recommendation) -> dict[str, str]:
    """Return stack's id → letter: A is the recommended stack, the others follow by their loss."""
    ids = [found.stack.stack_id, *(r["stack_id"] for r in found.runners_up)]
    return {stack_id: chr(ord("A") + k) for k, stack_id in enumerate(ids)}


def progress(runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Letters) -> str:
    """The loss of every search trial, and the best so far."""
    title = "Loss of every search trial, and the best so far"
    trials = [r for r in runs if r.phase == SEARCH and r.outcome in MARKS]
    values = svg.finite(r.value for r in trials if r.outcome == "completed")
    if not values:
        return svg.empty(title, "No trial finished.")
    low, high = svg.bounds(_without_strays(values))
    last = max(r.number for r in trials)
    x = svg.scale(-0.5, last + 0.5, LEFT, RIGHT)
    y = svg.scale(low, high, 270.0, TOP)
    body = [svg.x_axis(x, 0, last, TOP, 270.0, "trial")]
    body += [svg.y_axis(y, low, high, LEFT, RIGHT, "validation loss")]
    best, steps = None, []
    for run in sorted(trials, key=lambda r: r.number):
        at = run.value if run.value is not None else high
        hint = f"trial {run.number}: {run.outcome}, loss {number(run.value)}"
        kind = "first" if run.outcome == "completed" else "faint"
        drawn = at if run.outcome in ("completed", "pruned") else high
        shape = MARKS[run.outcome]
        body.append(svg.mark(x(run.number), y(drawn), shape, kind, hint=hint))
        if run.finished and (best is None or at < best):
            if best is not None:
                steps.append((x(run.number), y(best)))
            best = at
            steps.append((x(run.number), y(at)))
    if best is not None:
        steps.append((RIGHT, y(best)))
    body.append(svg.path(steps, "curve first"))
    outcomes = [o for o in MARKS if any(r.outcome == o for r in trials)]
    body.append(_key(outcomes, 322.0))
    return svg.document(WIDTH, 334, title, "".join(body))


def confirmation(runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Letters) -> str:
    """Each confirmed stack against the chapter's default: a point a seed, mean and interval."""
    title = "Loss minus the chapter's default's, one point a seed, with mean and 95 % interval"
    base = chosen.baseline.stack_id
    table = {
        stack_id: {j: float(r.value or 0.0) for j, r in row.items()}
        for stack_id, row in confirmed(chosen.candidates, runs).items()
        if row
    }
    others = [i for i in names if i in table and i != base]
    if base not in table or not others:
        return svg.empty(title, "No confirmed stack to set beside the chapter's default.")
    gaps = {
        i: {j: v - table[base][j] for j, v in table[i].items() if j in table[base]} for i in others
    }
    against = compare(table, base)
    values = [v for row in gaps.values() for v in row.values()]
    values += [end for i in others for end in against[i].ci95 or ()]
    low, high = svg.bounds([*values, 0.0])
    bottom = TOP + 44.0 * len(others)
    x = svg.scale(low, high, LEFT + 20, RIGHT)
    axis = "difference in validation loss (left of 0: better than the chapter's default)"
    body = [svg.x_axis(x, low, high, TOP, bottom, axis), svg.line(x(0), TOP, x(0), bottom, "zero")]
    for k, stack_id in enumerate(others):
        y = TOP + 44.0 * k + 22.0
        kind = "first" if stack_id == found.stack.stack_id else "other"
        body.append(svg.text(LEFT - 8, y + 4, names[stack_id], "name", "end"))
        value = against[stack_id]
        if value.ci95:
            body.append(svg.line(x(value.ci95[0]), y, x(value.ci95[1]), y, f"interval {kind}"))
        if value.n:
            hint = f"mean {signed(value.mean)}"
            body.append(svg.mark(x(value.mean), y, "diamond", kind, 5.0, hint))
        for j, gap in sorted(gaps[stack_id].items()):
            hint = f"seed {j + 1}: {signed(gap)}"
            body.append(svg.mark(x(gap), y + 13, "circle", "faint", 3.0, hint))
    return svg.document(WIDTH, bottom + 46, title, "".join(body))


def curves(runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Letters) -> str:
    """Validation loss over epochs of the confirmed stacks, a line a seed."""
    title = "Validation loss over epochs, a line a seed"
    table = confirmed(chosen.candidates, runs)
    rows = {i: [r for _, r in sorted(table.get(i, {}).items()) if r.curve] for i in names}
    lines = [(i, r) for i, row in rows.items() for r in row]
    if not lines:
        lines = [
            (i, r)
            for i in names
            for r in runs
            if r.phase == SEARCH and r.stack_id == i and r.finished and r.curve
        ]
    if not lines:
        return svg.empty(title, "No run has a learning curve.")
    # The first epochs are high and tell nothing; the axis shows where the curves end up.
    ends = svg.finite(v for _, r in lines for v in r.curve[len(r.curve) // 4 :])
    low, high = svg.bounds(_without_strays(ends))
    most = max(len(r.curve) for _, r in lines)
    x = svg.scale(1, max(2, most), LEFT, RIGHT - 24)
    y = svg.scale(low, high, 270.0, TOP)
    body = [svg.x_axis(x, 1, max(2, most), TOP, 270.0, "epoch")]
    body.append(svg.y_axis(y, low, high, LEFT, RIGHT - 24, "validation loss"))
    for stack_id, run in lines:
        points = [(x(k + 1), y(v)) for k, v in enumerate(run.curve) if svg.finite([v])]
        body.append(svg.path(points, f"curve {_series(names[stack_id])}"))
    taken: list[float] = []
    for stack_id in names:
        last = [r.curve[-1] for i, r in lines if i == stack_id]
        if last and svg.finite(last):
            at = _free(y(sum(last) / len(last)), taken)
            kind = f"name {_series(names[stack_id])}"
            body.append(svg.text(RIGHT - 18, at + 4, names[stack_id], kind))
    return svg.document(WIDTH, 316, title, "".join(body))


def arms(runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Letters) -> str:
    """The search's finished trials by the choice they made, axis by axis."""
    title = "Validation loss of finished search trials, by choice"
    finished = [r for r in runs if r.phase == SEARCH and r.finished and r.stack]
    groups: list[tuple[str, list[tuple[str, list[Run]]]]] = []
    for axis in AXES:
        by_choice: dict[str, list[Run]] = {}
        for run in finished:
            if run.stack is not None:
                by_choice.setdefault(name(axis_value(run.stack, axis)), []).append(run)
        if len(by_choice) > 1:
            ranked = sorted(by_choice.items(), key=lambda item: min(r.value or 0 for r in item[1]))
            groups.append((axis, ranked))
    if not groups:
        return svg.empty(title, "The finished trials do not differ in any choice.")
    low, high = svg.bounds(_without_strays(svg.finite(r.value for r in finished)))
    x = svg.scale(low, high, 210.0, RIGHT)
    row, y, body = 17.0, TOP, []
    for axis, choices in groups:
        body.append(svg.text(16, y + 12, axis.replace("_", " "), "group"))
        y += row + 2
        for choice, made in choices:
            body.append(svg.text(200, y + 4, f"{choice} ({len(made)})", "tick", "end"))
            body.append(svg.line(210, y, RIGHT, y, "grid"))
            for run in made:
                hint = f"trial {run.number}: {number(run.value)}"
                body.append(svg.mark(x(run.value or 0.0), y, "circle", "first", 3.0, hint))
            y += row
        y += 8
    body.insert(0, svg.x_axis(x, low, high, TOP, y, "validation loss"))
    return svg.document(WIDTH, y + 46, title, "".join(body))


def effects(runs: Sequence[Run], found: Recommendation, chosen: Choice, names: Letters) -> str:
    """What each choice was worth: paired effects with intervals; the rest hollow or absent."""
    title = "Loss with the recommended choice minus loss with the alternative"
    rows = [e for e in found.effects if e["effect"] is not None]
    if not rows:
        return svg.empty(title, "No choice has an alternative to be compared with.")
    ends = [v for e in rows for v in (e["effect"], *(e["ci95"] or ()))]
    low, high = svg.bounds([*ends, 0.0])
    x = svg.scale(low, high, 330.0, RIGHT)
    bottom = TOP + 26.0 * len(rows)
    axis = "difference in validation loss (left of 0: the choice is better)"
    body = [svg.x_axis(x, low, high, TOP, bottom, axis), svg.line(x(0), TOP, x(0), bottom, "zero")]
    for k, effect in enumerate(rows):
        y = TOP + 26.0 * k + 13.0
        words = f"{effect['axis'].replace('_', ' ')}: {name(effect['choice'])}"
        words += f", not {name(effect['alternative'])}"
        body.append(svg.text(320, y + 4, words, "tick", "end"))
        sure = effect["kind"] == PAIRED
        if effect["ci95"]:
            body.append(
                svg.line(x(effect["ci95"][0]), y, x(effect["ci95"][1]), y, "interval first")
            )
        hint = f"{signed(effect['effect'])}, {effect['kind']}"
        shape, kind = ("diamond", "first") if sure else ("circle", "faint")
        body.append(svg.mark(x(effect["effect"]), y, shape, kind, 4.0, hint))
    return svg.document(WIDTH, bottom + 46, title, "".join(body))


PICTURES: dict[str, Picture] = {
    "confirmation": confirmation,
    "curves": curves,
    "effects": effects,
    "prediction": prediction,
    "layers": layers,
    "progress": progress,
    "arms": arms,
}


def _without_strays(values: Sequence[float]) -> list[float]:
    """Leave out what lies far above the rest (it is drawn at the edge), so that the rest shows."""
    known = sorted(svg.finite(values))
    if len(known) < 5:
        return known
    quarter, middle = known[len(known) // 4], known[len(known) // 2]
    upper = known[3 * len(known) // 4]
    limit = max(middle, upper + 2.0 * (upper - quarter))
    return [v for v in known if v <= limit]


def _series(letter: str) -> str:
    """Return the class of a stack's line: the first five look different, by dashes too."""
    return f"s{min(ord(letter) - ord('A'), 5)}"


def _free(at: float, taken: list[float], room: float = 15.0) -> float:
    """Return a height near `at` where no label is yet, and take it."""
    offsets = sorted((k * room / 2 for k in range(-16, 17)), key=abs)
    found = next((at + o for o in offsets if all(abs(at + o - t) >= room for t in taken)), at)
    taken.append(found)
    return found


def _key(outcomes: Sequence[str], y: float) -> str:
    """Return the key of the marks."""
    parts, x = [], LEFT
    for outcome in outcomes:
        kind = "first" if outcome == "completed" else "faint"
        parts.append(svg.mark(x, y - 4, MARKS[outcome], kind))
        parts.append(svg.text(x + 10, y, outcome, "tick"))
        x += 30 + 7 * len(outcome)
    return "".join(parts)
