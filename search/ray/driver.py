"""`python -m trainstack.search.ray.driver`: the process that talks to Ray for the command line.

It is a separate process because Ray ends a driver whose cluster goes away, writes freely to
standard error, and may take minutes to answer. Both sides exchange lines of JSON: requests
`connect`, then `place`, `keep`, `finish` and `leave` on standard input; replies on standard output.
The driver ends when its standard input closes; the actors, which are detached, continue.
"""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any

from trainstack.search.ray.actor_group import ActorGroup
from trainstack.search.ray.connection import connect
from trainstack.spaces.errors import TrainstackError

LOOK_SECONDS = 1.0


def main() -> int:
    """Serve the command line until standard input closes; return the exit code."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # keep Ray's output off the channel for replies

    def reply(**document: Any) -> None:
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    try:
        _serve(reply)
    except TrainstackError as error:
        print(f"trainstack: {error}", file=sys.stderr)  # noqa: T201 - the one line on an error
        return error.exit_code
    return 0


def _serve(reply: Any) -> None:
    group: ActorGroup | None = None
    # Not sys.stdin, whose buffer is invisible to `select`.
    questions, unread = 0, b""
    while True:
        finished = False
        ready, _, _ = select.select([questions], [], [], LOOK_SECONDS)
        if ready:
            news = os.read(questions, 1 << 20)
            if not news:
                return
            *lines, unread = (unread + news).split(b"\n")
            for line in lines:
                match json.loads(line):
                    case {"connect": address}:
                        reply(nodes=connect(address))
                    case {"place": order}:
                        group = ActorGroup.of(order)
                    case {"keep": int(count)} if group is not None:
                        group.keep(count)
                    case {"finish": float(seconds)} if group is not None:
                        group.finish(seconds)
                        finished = True
                    case {"leave": float(seconds)} if group is not None:
                        group.leave(seconds)
                        finished = True
        if group is not None:
            workers = group.look()
            reply(wanted=group.wanted, workers=workers, lines=group.take_lines(), finished=finished)


if __name__ == "__main__":
    # Import by its full name, under which objects are pickled for Ray.
    from trainstack.search.ray.driver import main as run

    raise SystemExit(run())
