"""Take a screenshot of a picture or of a report: `python -m docs.photograph PAGE.html PICTURE.png`.

A page with a single plotly picture, as `trainstack range-test -o` and `python -m benchmarks.deep`
write it, gives this picture. A report gives its beginning, or the section of a heading:

    python -m docs.photograph report/report.html report.png
    python -m docs.photograph report/report.html effects.png "What each choice was worth"

It made the pictures of reports, `range-test.png` and `deep.png` in docs/pictures, in the system's
Chromium.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from docs.dashboard import CHROMIUM

# Width and length of the window, which a report's first page fills.
WIDTH, LENGTH = 900, 1310
# Pixels for each of the window's, of a picture and of a report.
FINE, COARSE = 2.0, 1.5


def photograph(page_file: Path, picture: Path, heading: str | None = None) -> None:
    """Write the picture of a page, on white.

    Args:
        page_file: A page with a plotly picture, or a report.
        picture: The file to write.
        heading: Heading of a report's section; None: the report's beginning.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        is_report = "<main>" in page_file.read_text("utf-8")
        page = browser.new_page(
            device_scale_factor=COARSE if is_report else FINE,
            viewport={"width": WIDTH, "height": LENGTH},
        )
        page.goto(page_file.resolve().as_uri())
        page.locator(".main-svg .trace").first.wait_for(state="attached")
        if not is_report:
            page.locator(".plotly-graph-div").first.screenshot(path=picture)
        elif heading is None:
            page.screenshot(path=picture)
        else:
            page.screenshot(path=picture, full_page=True, clip=_section(page, heading))
        browser.close()


def _section(page: Any, heading: str) -> Any:
    """Return the rectangle from a heading of a report to the next one."""
    headings = page.locator("main h2")
    texts = headings.all_inner_texts()
    place = texts.index(heading)
    top = headings.nth(place).bounding_box()["y"]
    end = headings.nth(place + 1).bounding_box()["y"]
    return {"x": 0, "y": top - 10, "width": WIDTH, "height": end - top - 10}


if __name__ == "__main__":
    photograph(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
