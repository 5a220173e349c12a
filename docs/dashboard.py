"""Take screenshots of a study's dashboard pages: `python -m docs.dashboard STUDY FOLDER`.

    dashboard.png        the note: state, best stack, recommendation
    dashboard-plots.png  trainstack's plots on the study's page
    dashboard-trial.png  the recommended trial with its artifacts

The pictures in docs/pictures show the study of `make demo`, in the system's Chromium.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

CHROMIUM = "/usr/bin/chromium"
COMMAND = str(Path(sys.executable).with_name("trainstack"))
WIDTH, HEIGHT = 1200, 1120
OURS = re.compile("Best loss over time|Learning curves|Loss by arm|Confirmation with fresh seeds")
# The dashboard decides their order: scroll the topmost one to below the page's header.
SCROLL = """all => window.scrollBy(
    0, Math.min(...all.map(plot => plot.getBoundingClientRect().top)) - 100
)"""


def document(*arguments: str) -> Any:
    """Return the JSON document that a verb prints."""
    done = subprocess.run([COMMAND, *arguments, "--json"], check=True, capture_output=True)
    return json.loads(done.stdout)


def photograph(study: str, folder: Path) -> None:
    """Write the pictures."""
    from playwright.sync_api import sync_playwright

    chosen = document("recommend", study)["stack_id"]
    number = next(row["number"] for row in document("trials", study) if row["stack_id"] == chosen)
    server = subprocess.Popen(
        [COMMAND, "dashboard", study, "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        address = server.stdout.readline().strip()
        with sync_playwright() as playwright:
            flags = ["--no-sandbox", "--disable-gpu"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.goto(f"{address}/note")
            page.get_by_text("Recommendation").first.wait_for()
            page.screenshot(path=folder / "dashboard.png")
            page.goto(address)
            plots = page.locator(".js-plotly-plot", has_text=OURS)
            plots.first.locator(".trace").first.wait_for(state="attached")
            page.wait_for_timeout(3000)  # Optuna's plots above are still resizing
            plots.evaluate_all(SCROLL)
            page.screenshot(path=folder / "dashboard-plots.png")
            page.goto(f"{address}/trials?numbers={number}")
            model = page.get_by_text("model.keras").first
            model.wait_for()
            model.scroll_into_view_if_needed()
            page.screenshot(path=folder / "dashboard-trial.png")
            browser.close()
    finally:
        server.terminate()
        server.wait(60)


if __name__ == "__main__":
    photograph(sys.argv[1], Path(sys.argv[2]))
