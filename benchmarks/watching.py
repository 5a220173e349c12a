"""The cost of viewing a large study: `status`, `trials`, the dashboard's page.

    python -m benchmarks.watching
    python -m benchmarks.watching 1000 10000

Fills the tables with finished trials (10,000 by default), copies of some real ones, then runs the
command as a user does. The page is opened in the system's Chromium and timed from the request until
the study's plots are drawn, for the first request and for the second. The processor seconds of the
command (for the page: of the dashboard) are given as well, because other work on the machine
hardly affects them.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from benchmarks.scale import database, fill, table
from benchmarks.table import RESULTS, machine, versions
from trainstack.search.database.connection import exported

SIZE, REPEATS = 10_000, 5
CHROMIUM = "/usr/bin/chromium"
COMMAND = str(Path(sys.executable).with_name("trainstack"))
HEAD = ["trials", "what", "median, s", "slowest, s", "processor, s"]
# Wall-clock seconds, and processor seconds.
Took = tuple[float, float]


def commands(environment: dict[str, str], *arguments: str) -> list[Took]:
    """Time the command a few times, from start to exit."""
    found = []
    for _ in range(REPEATS):
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [COMMAND, *arguments], check=True, env=environment, stdout=subprocess.DEVNULL
        )
        took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found.append((took, spent))
    return found


def pages(environment: dict[str, str], times: int = 2) -> list[Took]:
    """Time the study's page in a browser a few times, each until its plots are drawn."""
    import psutil
    from playwright.sync_api import sync_playwright

    server = subprocess.Popen(
        [COMMAND, "dashboard", "scale", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    process = psutil.Process(server.pid)
    try:
        address = server.stdout.readline().strip()
        found = []
        with sync_playwright() as playwright:
            flags = ["--no-sandbox", "--disable-gpu"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            for _ in range(times):
                page = browser.new_page(viewport={"width": 1400, "height": 1000})
                began, before = time.perf_counter(), sum(process.cpu_times()[:2])
                page.goto(address)
                page.get_by_text("scale (id=").first.wait_for(timeout=300_000)
                drawn = page.locator(".js-plotly-plot .trace").first
                drawn.wait_for(state="attached", timeout=300_000)
                spent = sum(process.cpu_times()[:2]) - before
                found.append((time.perf_counter() - began, spent))
                page.close()
            browser.close()
        return found
    finally:
        server.terminate()
        server.wait(60)


def measured(size: int) -> Iterator[list[str]]:
    """Measure a study of the given size; yield the rows of the table."""
    with database() as url:
        fill(url, size, "random", "none")
        environment = {**os.environ, "TRAINSTACK_STORAGE": exported(url)}
        asked = {
            "`--help`": ("--help",),
            "`status scale --json`": ("status", "scale", "--json"),
            "`trials scale --json`": ("trials", "scale", "--json"),
            "`trials scale --best 5`": ("trials", "scale", "--best", "5"),
        }
        for title, arguments in asked.items():
            yield row(size, title, commands(environment, *arguments))
        first, *again = pages(environment)
        yield row(size, "the dashboard's page, first", [first])
        yield row(size, "the page again", again)


def row(size: int, what: str, found: Sequence[Took]) -> list[str]:
    """Return a row of the table."""
    took, spent = zip(*found, strict=True)
    figures = (statistics.median(took), max(took), statistics.median(spent))
    return [f"{size:,}", what, *(f"{figure:.2f}" for figure in figures)]


def main(arguments: list[str]) -> None:
    """Measure the given sizes; without any, the default one, and write the table."""
    before = os.getloadavg()[0]
    sizes = [int(argument) for argument in arguments] or [SIZE]
    found = table(HEAD, (line for size in sizes for line in measured(size)))
    if arguments:
        return
    title = f"# What looking at a study costs, on {machine()}"
    load = f"Load of the machine before and after: {before:.1f}, {os.getloadavg()[0]:.1f}."
    about = f"{date.today().isoformat()}, {versions()}. Repeat: `python -m benchmarks.watching`."
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "watching.md").write_text("\n\n".join([title, about, load, found]) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
