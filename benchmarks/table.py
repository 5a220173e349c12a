"""Rows of the benchmark's table, and the file that holds them."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psutil

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One figure with its bar.

    Attributes:
        what: Name of the measurement.
        ours: The engine's figure, with its unit.
        theirs: The figure to compare with, with its unit; empty if there is none.
        value: The ratio (or share, or time) to compare with the bar.
        bar: The target value.
        least: True if `value` should be at least the bar, False if at most.
        unit: Unit of `value` and `bar`.
    """

    what: str
    ours: str
    theirs: str
    value: float
    bar: float
    least: bool = True
    unit: str = "×"

    @property
    def met(self) -> bool:
        """Whether the bar is reached."""
        return self.value >= self.bar if self.least else self.value <= self.bar

    def cells(self) -> list[str]:
        """Return the row as text."""
        sign = "≥" if self.least else "≤"
        found = f"{self.value:.3g} {self.unit}".replace(" ×", "×")
        bar = f"{sign} {self.bar:g} {self.unit}".replace(" ×", "×")
        return [self.what, self.ours, self.theirs, found, bar, "yes" if self.met else "no"]


HEAD = ["what", "ours", "against", "found", "bar", "met"]


def machine() -> str:
    """Return the machine's description: processor, cores, memory."""
    model = platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        match = re.search(r"model name\s*:\s*(.+)", cpu_info.read_text())
        model = match.group(1).strip() if match else model
    memory = psutil.virtual_memory().total / 2**30
    return f"{model}, {psutil.cpu_count()} cores, {memory:.0f} GiB"


def versions() -> str:
    """Return the versions that the figures depend on."""
    from importlib.metadata import version

    names = ("tensorflow", "keras", "optuna")
    found = [f"{name} {version(name)}" for name in names]
    return ", ".join([f"Python {platform.python_version()}", *found])


def write(rows: list[Row]) -> Path:
    """Write the rows into the file with the machine's name; keep its other rows.

    A row is identified by its measurement and its bar.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", machine().lower()).strip("-")
    path = RESULTS / f"{slug}.md"
    old = path.read_text("utf-8").splitlines() if path.is_file() else []
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in old]
    table = {
        (c[0], c[4]): c for c in found if len(c) == len(HEAD) + 1 and c[0] not in (HEAD[0], "---")
    }
    for row in rows:
        cells = [*row.cells(), f"{date.today().isoformat()}, {versions()}"]
        table[cells[0], cells[4]] = cells
    lines = [
        f"# Benchmark on {machine()}",
        "",
        "Repeat with `make bench`, or a part of it with `python -m benchmarks GROUP`.",
        "",
        "| " + " | ".join([*HEAD, "when, with what"]) + " |",
        "|" + " --- |" * (len(HEAD) + 1),
        *("| " + " | ".join(cells) + " |" for cells in table.values()),
        "",
    ]
    RESULTS.mkdir(exist_ok=True)
    path.write_text("\n".join(lines), "utf-8")
    return path
