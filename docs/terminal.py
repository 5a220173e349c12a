"""Draw the current view of `trainstack watch`: `python -m docs.terminal STUDY FILE.svg [COLUMNS]`.

The pictures in docs/pictures were made at 80 and at 140 columns, while two workers served the study
on one machine, whose name is replaced.
"""

from __future__ import annotations

import dataclasses
import io
import re
import socket
import sys
from pathlib import Path

NAME = "workstation"


def draw(study: str, columns: int) -> str:
    """Return the current live view of a study as an SVG of a terminal with `columns` columns."""
    from rich.console import Console
    from rich.terminal_theme import MONOKAI

    from trainstack.search.cli.common import storage
    from trainstack.search.cli.live_view import view
    from trainstack.search.queue import queries
    from trainstack.search.queue.progress import read_snapshot

    with storage(None) as (_, engine):
        status, seen = queries.status(engine, study), read_snapshot(engine, study)
    workers = tuple(dataclasses.replace(w, id=_renamed(w.id)) for w in status.workers)
    status = dataclasses.replace(status, workers=workers)
    running = tuple(dataclasses.replace(r, worker=_renamed(r.worker)) for r in seen.running)
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(view(status, dataclasses.replace(seen, running=running), columns))
    picture = console.export_svg(title=f"trainstack watch {study}", theme=MONOKAI)
    # Pages fetch nothing from other hosts: use the reader's own monospaced font.
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


def _renamed(worker: str) -> str:
    return worker.replace(socket.gethostname(), NAME)


if __name__ == "__main__":
    name, file, *columns = sys.argv[1:]
    Path(file).write_text(draw(name, int(*columns or (80,))), "utf-8")
