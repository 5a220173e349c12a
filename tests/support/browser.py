"""The browser that tests drive."""

from __future__ import annotations

from pathlib import Path

CHROMIUM = Path("/usr/bin/chromium")


FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# Time that a page may take: on a busy machine the dashboard's note is written every half minute.
PATIENCE_SECONDS = 150
