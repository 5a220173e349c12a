"""The report in a real browser: every picture is drawn, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.support.browser import CHROMIUM, FLAGS, PATIENCE_SECONDS
from tests.support.measurements import SPARSITY, layer, stochastic
from tests.support.planted_study import study
from trainstack.search.conclusion.recommendation import recommend
from trainstack.search.report.pictures import PICTURES
from trainstack.search.report.write import write_report

# Texts of a picture: text, left and right end.
SPANS = """all => all.filter(text => text.textContent).map(text => {
    const box = text.getBoundingClientRect();
    return [text.textContent, box.left, box.right];
})"""
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no {CHROMIUM} on this machine"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a study with every picture, and a cause that contains markup."""
    spec, runs = study()
    evil = "</script><script>fail()</script><b>"
    runs = [replace(r, layers={"start": [layer(1.0)] * 3}) for r in runs]
    runs.append(replace(runs[0], number=99, outcome="diverged", value=None, cause=evil))
    part = {**stochastic([-0.1, -0.1]), "sparsity": SPARSITY}
    written = tmp_path_factory.mktemp("report")
    write_report(written, replace(spec, study=evil), recommend(spec, runs, {"chosen": part}), runs)
    return written


@pytest.fixture(scope="module")
def messages() -> list[str]:
    """The page's console messages, errors and network requests."""
    return []


@pytest.fixture(scope="module")
def page(folder: Path, messages: list[str]) -> Iterator[Page]:
    """The report in a window of the system's Chromium, with every collapsed section opened."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on(
            "request", lambda asked: asked.url.startswith("file:") or messages.append(asked.url)
        )
        page.goto((folder / "report.html").as_uri())
        for fold in page.locator("details > summary").all():
            fold.click()
        yield page
        browser.close()


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_drawn(page: Page, name: str) -> None:
    """Each picture has marks, even in a collapsed section, and no text is cut off at its edge."""
    plot = page.locator(f"#{name}")
    plot.locator(".main-svg .trace").first.wait_for()
    box = plot.bounding_box()
    assert box is not None
    assert box["width"] == 720
    words = plot.locator("text:visible").evaluate_all(SPANS)
    assert words
    for text, left, right in words:
        assert box["x"] - 1 <= left, text
        assert right <= box["x"] + 721, text


def test_nothing_is_fetched_and_nothing_fails(page: Page, messages: list[str]) -> None:
    """Drawing causes no error, runs no user-defined text, and makes no network request."""
    page.locator(".main-svg .trace").last.wait_for()
    assert messages == []


def test_a_narrow_window_keeps_the_page(page: Page) -> None:
    """In a window of 400 pixels the page is no wider; pictures scroll inside it."""
    page.set_viewport_size({"width": 400, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_pictures_fit_on_paper(page: Page) -> None:
    """No picture is cut off within the margins of A4 paper."""
    page.set_viewport_size({"width": 680, "height": 900})  # 210 - 2 · 15 mm
    page.emulate_media(media="print")
    plots = page.locator(".plotly-graph-div").all()
    assert len(plots) == len(PICTURES)
    for plot in plots:
        box = plot.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 680


def test_a_picture_has_a_page(folder: Path, page: Page, messages: list[str]) -> None:
    """A picture's own page draws with the script file beside it."""
    page.goto((folder / "layers.html").as_uri())
    page.locator(".main-svg .trace").first.wait_for()
    assert messages == []
