"""A tracker's process: reads what to mirror from standard input, and ends with the study.

When its input ends, the command is leaving: it makes one last round.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import sys

from trainstack.search.database.connection import connected, parse_url
from trainstack.search.tracking.mirroring import Mirroring, mirror
from trainstack.search.tracking.trackers import Tracked

# The lowest priority: on a busy machine training gets all but a hundredth of a core.
NICE = 19


def main() -> int:
    """Mirror a study; return 0 if all of it is there, else 1."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command decides when it ends
    with contextlib.suppress(AttributeError, OSError):
        os.nice(NICE)
    logging.basicConfig(level=logging.WARNING, format="trainstack: %(message)s")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    request = json.loads(sys.stdin.readline())
    with connected(parse_url(request["url"])) as engine:
        mirroring = Mirroring(engine, request["study"], Tracked(**request["tracker"]))
        return 0 if mirror(mirroring, _pause) else 1


def _pause(seconds: float) -> bool:
    """Wait; return False at once when the input has ended."""
    return not select.select([sys.stdin], [], [], seconds)[0]


if __name__ == "__main__":
    sys.exit(main())
