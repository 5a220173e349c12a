"""Rows of the benchmark's table, and the file that they go to."""

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
        what: What was measured.
        ours: Our figure, with its unit.
        theirs: What it stands against, with its unit; empty where it stands alone.
        value: The ratio (or share, or time) that the bar is about.
        bar: What it should reach.
        least: True where `value` should be at least the bar, False where at most.
        unit: Of `value` and `bar`.
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
        """True when the bar is reached."""
        return self.value >= self.bar if self.least else self.value <= self.bar

    def cells(self) -> list[str]:
        """The row as text."""
        sign = "≥" if self.least else "≤"
        found = f"{self.value:.3g} {self.unit}".replace(" ×", "×")
        bar = f"{sign} {self.bar:g} {self.unit}".replace(" ×", "×")
        return [self.what, self.ours, self.theirs, found, bar, "yes" if self.met else "no"]


HEAD = ["what", "ours", "against", "found", "bar", "met"]


def machine() -> str:
    """Name the machine by what matters: processor, cores, memory."""
    model = platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        match = re.search(r"model name\s*:\s*(.+)", cpu_info.read_text())
        model = match.group(1).strip() if match else model
    memory = psutil.virtual_memory().total / 2**30
    return f"{model}, {psutil.cpu_count()} cores, {memory:.0f} GiB"


def versions() -> str:
    """Name the versions that the figures depend on."""
    from importlib.metadata import version

    names = ("tensorflow", "keras", "optuna")
    found = [f"{name} {version(name)}" for name in names]
    return ", ".join([f"Python {platform.python_version()}", *found])


def write(rows: list[Row]) -> Path:
    """Write the table to a file with the machine's name."""
    lines = [
        f"# Benchmark on {machine()}",
        "",
        f"{date.today().isoformat()}, {versions()}. Repeat with `make bench`.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + " --- |" * len(HEAD),
        *("| " + " | ".join(row.cells()) + " |" for row in rows),
        "",
    ]
    slug = re.sub(r"[^a-z0-9]+", "-", machine().lower()).strip("-")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{slug}.md"
    path.write_text("\n".join(lines), "utf-8")
    return path
