"""The dashboard in a real browser, with a trained study."""

from __future__ import annotations

import csv
import io
import re
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.support.browser import CHROMIUM, FLAGS, PATIENCE_SECONDS
from tests.support.shell import Launched, Shell

pytestmark = [
    pytest.mark.browser,
    pytest.mark.keras,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no {CHROMIUM} on this machine"),
]


@pytest.fixture(scope="module")
def address(digits: Launched) -> Iterator[str]:
    """The address printed by `dashboard digits`, while it is served."""
    process = digits.shell.start("dashboard", "digits", "--port", "0", stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.communicate(timeout=30)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A window of the system's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1400, "height": 3000})
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        yield page
        browser.close()


def test_the_address_opens_the_study(address: str, page: Page) -> None:
    """The printed address is on loopback and opens the study's page with the named objective."""
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/dashboard/studies/\d+", address)
    page.goto(address)
    page.get_by_text("digits (id=").first.wait_for()
    page.get_by_text("validation loss").first.wait_for()


@pytest.mark.parametrize(
    "title",
    ["Best loss over time", "Learning curves of the best trials", "Confirmation with fresh seeds"],
)
def test_our_plots_are_drawn(address: str, page: Page, title: str) -> None:
    """Each of our plots is on the study's page and has marks."""
    page.goto(address)
    plot = page.locator(".js-plotly-plot", has_text=title).first
    plot.locator(".trace").first.wait_for(state="attached")
    assert plot.locator(".trace").count() >= 1


def test_the_note_recommends(digits: Launched, address: str, page: Page) -> None:
    """The note contains the state, the counts, the best stack and the recommendation."""
    page.goto(f"{address}/note")
    page.get_by_text("digits: concluded").wait_for()
    shown = page.inner_text("body")
    found = digits.shell.json("recommend", "digits")
    assert "Recommendation" in shown
    assert " ".join(found["sentence"].split())[:60] in " ".join(shown.split())
    best = digits.shell.json("status", "digits")["best"]
    assert f"trial {best['trial']}, validation loss {best['value']:.4f}" in shown


def test_the_trials_are_there(digits: Launched, address: str, page: Page) -> None:
    """The list of trials shows each with its state."""
    page.goto(f"{address}/trials")
    page.get_by_text("Trial 0").first.wait_for()
    shown = page.inner_text("body")
    for row in digits.shell.json("trials", "digits"):
        assert f"Trial {row['number']}" in shown


def test_artifacts_are_there(digits: Launched, address: str, page: Page) -> None:
    """The recommended trial offers its complete curve, layers and saved model."""
    chosen = digits.shell.json("recommend", "digits")["stack_id"]
    rows = digits.shell.json("trials", "digits")
    row = next(r for r in rows if r["stack_id"] == chosen and r["outcome"] == "completed")
    page.goto(f"{address}/trials?numbers={row['number']}")
    page.get_by_text("curve.csv").first.wait_for()
    page.get_by_text("layers.csv").first.wait_for()
    page.get_by_text("model.keras").first.wait_for()
    root, study_id = address.split("/dashboard/", maxsplit=1)[0], address.rsplit("/", 1)[1]
    detail = page.request.get(f"{root}/api/studies/{study_id}").json()
    trial = next(t for t in detail["trials"] if t["number"] == row["number"])
    files = {
        artifact["filename"]: page.request.get(
            f"{root}/artifacts/{study_id}/{trial['trial_id']}/{artifact['artifact_id']}"
        ).body()
        for artifact in trial["artifacts"]
    }
    curve = list(csv.DictReader(io.StringIO(files["curve.csv"].decode())))
    assert [float(line["valid_loss"]) for line in curve] == pytest.approx(row["curve"])
    assert files["layers.csv"].decode().startswith("moment,layer,mean,")
    exported = digits.shell.home / "exported.keras"
    digits.shell.within("export", "digits", "--format", "keras", "-o", exported)
    assert files["model.keras"] == exported.read_bytes()


def test_the_page_changes_as_trials_end(quiet: Shell, page: Page) -> None:
    """The page of a running study updates its finished trials, their artifacts and the counts."""
    words = ("launch", "wine", "--study", "moving", "--space", "quick", "--trials", "2")
    words += ("--folds", "1")
    assert quiet.run(*words, "--replicates", "0", "--epochs", "3", "--detach").returncode == 0
    served = quiet.start("dashboard", "moving", "--port", "0", stderr=subprocess.DEVNULL)
    assert served.stdout is not None
    try:
        address = served.stdout.readline().strip()
        page.goto(f"{address}/note")
        page.get_by_text("nothing yet").or_(page.get_by_text("2 waiting")).first.wait_for()
        page.goto(f"{address}/trials")
        page.get_by_text("moving (id=").first.wait_for()
        assert page.get_by_text("Trial 0").count() == 0
        done = quiet.canned().run("worker", "moving", "--max-trials", "1")
        assert done.returncode == 0, done.stderr
        page.get_by_text("Trial 0").first.wait_for()
        page.get_by_text("curve.csv").first.wait_for()
        page.goto(f"{address}/note")
        page.get_by_text("1 completed").first.wait_for()
    finally:
        served.terminate()
        served.communicate(timeout=30)
