"""The report: complete, self-contained, escaped, and robust."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from tests.support.planted_study import study
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.evidence.effects import Effect, Kind
from trainstack.search.evidence.estimates import Verdict
from trainstack.search.records import Run
from trainstack.search.report.figures import bounds
from trainstack.search.report.pictures import PICTURES
from trainstack.search.report.write import write_report
from trainstack.search.spec import StudySpec

# Pictures without data in simulated runs: layer statistics, choices at prediction.
EMPTY = {"layers", "prediction"}


def written(folder: Path, spec: StudySpec, runs: list[Run]) -> dict[str, str]:
    """The report's files by name."""
    paths = write_report(folder, spec, recommend(spec, runs, {}), runs)
    return {path.name: path.read_text("utf-8") for path in paths}


def test_all_files_are_written(tmp_path: Path) -> None:
    """HTML, Markdown, JSON and every picture are written into a new folder."""
    files = written(tmp_path / "new" / "folder", *study())
    expected = {"report.html", "report.md", "recommendation.json"}
    drawn = set(PICTURES) - EMPTY
    assert set(files) == expected | {f"{name}.html" for name in drawn} | {"plotly.min.js"}
    assert json.loads(files["recommendation.json"])["verdict"] == "better"


def test_the_answer_comes_first(tmp_path: Path) -> None:
    """HTML and Markdown begin with the recommendation's sentence, before any table."""
    spec, runs = study()
    sentence = recommend(spec, runs, {}).sentence
    files = written(tmp_path, spec, runs)
    html = files["report.html"].replace("&#39;", "'")
    assert html.index(sentence) < html.index("<table")
    assert files["report.md"].index("Use 300-100") < files["report.md"].index("| ---")


def test_the_risk_stands_below_the_decision(tmp_path: Path) -> None:
    """HTML and Markdown give the probability of a gain of the margin and the expected loss."""
    files = written(tmp_path, *study())
    for name in ("report.html", "report.md"):
        assert "It is better by at least 5 % with a probability of" in files[name], name


def test_the_html_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    """The page loads nothing and forbids loading; without scripts it states what is missing."""
    html = written(tmp_path, *study())["report.html"]
    page = html.replace(get_plotlyjs(), "", 1)
    assert len(page) < 200_000  # plotly.js is included once
    assert "https://" not in page
    assert not re.search(r"<(link|img|iframe)\b|\bsrc=|@import|url\(", page)
    assert "default-src 'none'" in page
    assert "scripts are off" in page


def test_effects_of_a_single_run_are_left_out(tmp_path: Path) -> None:
    """The tables have the effects in the order of their evidence, and name those left out."""
    spec, runs = study()
    rows = (
        Effect("units", [9], [8], -0.1, kind=Kind.OBSERVATIONAL, n_trials=1),
        Effect("dropout", "none", "all", -0.2, kind=Kind.OBSERVATIONAL, n_trials=3),
        Effect("optimizer", "adam", "sgd", -0.3, (-0.4, -0.2), 5, Verdict.BETTER, Kind.PAIRED),
        Effect("batch_size", 16, 32, -0.4, kind=Kind.OBSERVATIONAL, n_trials=1),
        Effect("clipping", "none"),
    )
    write_report(tmp_path, spec, replace(recommend(spec, runs, {}), effects=rows), runs)
    for name in ("report.html", "report.md"):
        text = (tmp_path / name).read_text("utf-8")
        text = text[text.index("What each choice was worth") :]
        assert 0 < text.index("5 pairs") < text.index("3 trials")
        assert "1 trial" not in text
        left_out = "2 rows are left out, as a single run cannot show an effect: units, batch size."
        assert left_out in text
        assert "No alternative was tried for: clipping." in text


def test_the_same_runs_give_the_same_files(tmp_path: Path) -> None:
    """The report does not depend on random numbers or the time."""
    assert written(tmp_path / "a", *study()) == written(tmp_path / "b", *study())


def test_the_markdown_leads_to_the_pictures(tmp_path: Path) -> None:
    """Every link of the Markdown leads to a file beside it."""
    files = written(tmp_path, *study())
    linked = re.findall(r"\]\((\S+)\)", files["report.md"])
    assert {"confirmation.html", "curves.html"} <= set(linked) <= set(files)


class _Tags(HTMLParser):
    """Checks that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A self-closing element opens nothing."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_what_users_name_is_escaped(tmp_path: Path) -> None:
    """A study's name, a path and a cause are shown as text, not as HTML or Markdown."""
    spec, runs = study()
    evil = "<script>alert('x')</script>|`*"
    spec = replace(spec, study=evil, data=replace(spec.data, source=evil))
    runs = [*runs, replace(runs[0], number=99, outcome="diverged", value=None, cause=evil)]
    files = written(tmp_path, spec, runs)
    tags = _Tags()
    tags.feed(files["report.html"])
    assert tags.open == []
    assert "<script>alert" not in files["report.html"]
    assert evil in tags.texts
    assert "# &lt;script>" in files["report.md"]


@pytest.mark.parametrize("replicates", [0, 1, 5])
@pytest.mark.parametrize("count", [1, 2, 6])
def test_small_studies_have_a_report(tmp_path: Path, count: int, replicates: int) -> None:
    """With few trials, confirmed or not, every file and picture is written."""
    files = written(tmp_path, *study(count, replicates))
    assert "progress.html" in files
    for name in set(PICTURES) - EMPTY:
        assert f'id="{name}"' in files["report.html"] or f"{name}.html" not in files


def test_spoilt_runs_do_not_break_pictures(tmp_path: Path) -> None:
    """Missing values, infinite losses and empty curves are left out of pictures."""
    spec, runs = study()
    spoilt = [
        replace(runs[1], number=50, outcome="diverged", value=float("inf"), curve=()),
        replace(runs[1], number=51, outcome="diverged", value=None, curve=(1.0, float("nan"))),
        replace(runs[1], number=52, outcome="failed", value=None, stack=None, stack_id=None),
        replace(runs[1], number=53, outcome="waiting", value=None, stack=None, stack_id=None),
        replace(runs[1], number=54, value=float("inf")),
    ]
    files = written(tmp_path, spec, [*runs, *spoilt])
    for name in set(PICTURES) - EMPTY:
        assert not re.search(r"\b(NaN|Infinity)\b", files[f"{name}.html"])


def test_markdown_tables_keep_their_width(tmp_path: Path) -> None:
    """Every row of a Markdown table has as many cells as its header."""
    text = written(tmp_path, *study())["report.md"]
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in block.splitlines()}
        assert len(widths) == 1, block


@pytest.mark.parametrize("values", [[], [None], [float("nan")], [0.0, 0.0], [0.3]])
def test_an_axis_always_has_a_width(values: list[float | None]) -> None:
    """With no value, one value or equal values an axis has a positive width."""
    low, high = bounds(values)
    assert low < high
