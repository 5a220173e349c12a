"""Take a screenshot of a plotly picture: `python -m docs.photograph PAGE.html PICTURE.png`.

It made `range-test.png` and `deep.png` in docs/pictures from the pages that
`trainstack range-test -o` and `python -m benchmarks.deep` write, in the system's Chromium.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docs.dashboard import CHROMIUM


def photograph(page_file: Path, picture: Path) -> None:
    """Write the first picture of a page at twice a screen's resolution, on white."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(device_scale_factor=2)
        page.goto(page_file.resolve().as_uri())
        plot = page.locator(".plotly-graph-div").first
        plot.locator(".main-svg .trace").first.wait_for()
        plot.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    photograph(Path(sys.argv[1]), Path(sys.argv[2]))
