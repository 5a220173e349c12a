"""`python -m trainstack.workers STUDY`: join a study from this machine."""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType

from trainstack.search.processes import interruption_signals, open_streams, unblock_interrupts

INTERRUPTED = 130


def main() -> int:
    """Work on a study until it is over; return the exit code."""
    # `-m` puts the working directory first, where a file may have the name of a library's module.
    if sys.path[0] == os.getcwd():
        del sys.path[0]
    gc.set_threshold(100_000)  # as in the command: imports create little garbage
    open_streams()
    for number in interruption_signals():
        signal.signal(number, _leave)
    unblock_interrupts()
    from trainstack.workers.runtime.command import main as work

    code = work()
    gc.freeze()
    return code


def _leave(number: int, frame: FrameType | None) -> None:
    """Exit at once: no trial is held yet."""
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    raise SystemExit(main())
