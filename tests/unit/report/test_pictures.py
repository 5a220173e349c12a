"""The report's pictures show the runs' own numbers, and are readable without colour."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tests.support.measurements import SPARSITY
from tests.support.planted_study import study
from trainstack.search.conclusion.recommendation import Recommendation, recommend
from trainstack.search.evidence.candidates import confirmed
from trainstack.search.evidence.choice import Choice
from trainstack.search.evidence.effects import by_evidence
from trainstack.search.evidence.race import choice
from trainstack.search.lr_range_test import RangeTest
from trainstack.search.records import Run
from trainstack.search.report.figures import LINES, escaped
from trainstack.search.report.pictures import MARKS, PICTURES, letters
from trainstack.search.report.ranges import picture as range_picture

SPEC, RUNS = study()
FOUND = recommend(SPEC, RUNS, {})


def drawn(name: str, runs: list[Run] = RUNS, found: Recommendation = FOUND) -> Any:
    """One picture of the study."""
    return PICTURES[name](runs, found, chosen(runs), letters(found))


def chosen(runs: list[Run] = RUNS) -> Choice:
    """The compared stacks."""
    made = choice(SPEC, runs)
    assert made is not None
    return made


def ends(trace: Any) -> list[tuple[float, float]]:
    """The ends of a trace's intervals."""
    bars = trace.error_x
    rows = zip(trace.x, bars.arrayminus, bars.array, strict=True)
    return [(x - below, x + above) for x, below, above in rows]


def test_confirmation_shows_paired_differences() -> None:
    """Each seed has a point: the stack's loss minus the default's with the same seed."""
    table = confirmed(chosen().candidates, RUNS)
    base = table[FOUND.baseline.stack_id]
    expected = [
        {j: row[j].value - base[j].value for j in row}  # type: ignore[operator]
        for i in letters(FOUND)
        if i != FOUND.baseline.stack_id and (row := table.get(i))
    ]
    points = [trace for trace in drawn("confirmation").data if trace.error_x.array is None]
    assert [list(trace.x) for trace in points] == [
        pytest.approx([gaps[j] for j in sorted(gaps)]) for gaps in expected
    ]


def test_the_recommended_stacks_interval_is_the_recommendations() -> None:
    """The first row shows the recommendation's mean and interval against the default."""
    mean = next(trace for trace in drawn("confirmation").data if trace.error_x.array is not None)
    assert mean.x[0] == pytest.approx(FOUND.difference.mean)
    assert ends(mean) == [pytest.approx(FOUND.difference.ci95)]


def test_effects_are_drawn_with_their_intervals() -> None:
    """Filled marks with bars are the paired effects; the rest is hollow; effects of a single run
    are left out."""
    shown = [e for e in by_evidence(FOUND.effects) if e.effect is not None]
    assert len(shown) < sum(e.effect is not None for e in FOUND.effects)
    paired = [e for e in shown if e.kind == "paired"]
    picture = drawn("effects")
    sure = picture.data[0]
    assert list(sure.x) == [e.effect for e in paired]
    intervals = [e.ci95 or (e.effect, e.effect) for e in paired]
    assert ends(sure) == [pytest.approx(interval) for interval in intervals]
    assert not sure.marker.symbol.endswith("-open")
    assert all(trace.marker.symbol.endswith("-open") for trace in picture.data[1:])
    assert sum(len(trace.x) for trace in picture.data) == len(shown)


def test_every_outcome_has_its_own_symbol() -> None:
    """The shape of a trial's mark gives its outcome, and the legend names it."""
    ended = [
        replace(RUNS[0], number=90 + k, outcome=outcome, value=None)
        for k, outcome in enumerate(MARKS)
        if outcome != "completed"
    ]
    traces = [t for t in drawn("progress", [*RUNS, *ended]).data if t.mode == "markers"]
    assert [trace.name for trace in traces] == list(MARKS)
    assert len({trace.marker.symbol for trace in traces}) == len(MARKS)


def test_outliers_are_drawn_at_the_edge_with_their_loss() -> None:
    """An extreme loss is drawn at the edge with its value as hover text; the axis stays."""
    absurd = replace(RUNS[1], number=90, value=1e6)
    before, after = drawn("progress"), drawn("progress", [*RUNS, absurd])
    assert after.layout.yaxis.range[1] < 10 * before.layout.yaxis.range[1]
    marks = after.data[0]
    place = list(marks.x).index(90)
    assert marks.y[place] == after.layout.yaxis.range[1]
    assert "trial 90: completed, loss 1e+06" in marks.hovertext[place]


def test_stacks_differ_by_dash_and_letter() -> None:
    """The first stacks' lines have distinct dashes, and every line ends in its stack's letter."""
    picture = drawn("curves")
    assert len({dash for _, dash in LINES}) == len(LINES)
    named = {hint.split(",")[0]: t.line.dash for t in picture.data for hint in t.hovertext}
    assert len(set(named.values())) == min(len(named), len(LINES))
    assert {note.text for note in picture.layout.annotations} == set(named)


def test_labels_of_lines_keep_apart() -> None:
    """If lines end at the same loss, their letters do not overlap."""
    same = [replace(run, curve=(0.5, 0.3)) for run in RUNS]
    picture = drawn("curves", same)
    low, high = picture.layout.yaxis.range
    inner = picture.layout.height - picture.layout.margin.t - picture.layout.margin.b
    places = sorted(note.y for note in picture.layout.annotations)
    gaps = [(b - a) * inner / (high - low) for a, b in pairwise(places)]
    assert gaps
    assert min(gaps) > 14.0


def test_affordable_sparsity_is_filled_and_the_rest_hollow() -> None:
    """Every threshold has a mark, filled if affordable; a line is at the sparsest one."""
    found = recommend(SPEC, RUNS, {"chosen": {"sparsity": SPARSITY}})
    picture = drawn("prediction", found=found)
    traces = [trace for trace in picture.data if trace.mode == "markers"]
    assert len(traces) == 2
    for trace in traces:
        cheap = not trace.marker.symbol
        kept = [row["nonzero_fraction"] for row in SPARSITY if bool(row["affordable"]) is cheap]
        assert kept
        assert list(trace.x) == kept
    cheapest = min(row["nonzero_fraction"] for row in SPARSITY if row["affordable"])
    assert picture.layout.shapes[0].x0 == cheapest


def test_names_are_shown_as_they_are() -> None:
    """User-defined text that plotly would read as markup is escaped, once."""
    evil = "<b>&</b><script>"
    test = RangeTest("adam", (1e-3, 1e-2), (0.5, 0.4), None, 1e-3, 1e-2)
    title = range_picture([test], evil).layout.title.text
    assert title.endswith("&lt;b&gt;&amp;&lt;/b&gt;&lt;script&gt;")
    assert escaped(evil) in title


def test_a_range_test_shows_its_range_and_what_diverged() -> None:
    """The band spans the range worth searching; diverged losses are crosses at the edge."""
    rates, losses = (1e-4, 1e-3, 1e-2, 1e-1), (0.7, 0.4, 9.0, float("inf"))
    test = RangeTest("adam", rates, losses, 2e-3, 1e-4, 1e-3)
    picture = range_picture([test, replace(test, optimizer="nadam", stable=None)], "wine")
    band, stable = picture.layout.shapes[:2]
    assert (band.x0, band.x1) == (1e-4, 1e-3)
    assert stable.x0 == stable.x1 == 2e-3
    lost = next(trace for trace in picture.data if trace.name == "diverged")
    assert list(lost.x) == [1e-2, 1e-1]
    assert set(lost.y) == {picture.layout.yaxis.range[1]}
    keys = [t.name for t in picture.data if t.showlegend]
    keys += [s.name for s in picture.layout.shapes if s.showlegend]
    assert len(keys) == len(set(keys)) == 5
