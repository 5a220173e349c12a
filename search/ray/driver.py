"""`python -m trainstack.search.ray.driver`: the process that talks to Ray for the command line.

A process of its own, since Ray ends a driver whose cluster goes away, writes to its standard error
as it likes, and may take minutes to answer. Lines of JSON go both ways: on standard input
`connect`, then `place`, `keep`, `finish` and `leave`; on standard output what came of it. It ends
with its standard input; the actors, which are detached, go on.
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
    """Serve the command line until it has had enough; returns the exit code."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what Ray prints is no answer

    def say(**document: Any) -> None:
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    try:
        _serve(say)
    except TrainstackError as error:
        print(f"trainstack: {error}", file=sys.stderr)  # noqa: T201 - the one line on an error
        return error.exit_code
    return 0


def _serve(say: Any) -> None:
    group: ActorGroup | None = None
    # Not sys.stdin, which reads ahead: what it holds `select` would not see.
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
                        say(nodes=connect(address))
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
            say(wanted=group.wanted, workers=workers, said=group.heard(), finished=finished)


if __name__ == "__main__":
    # By its importable name: what is sent to Ray names its module.
    from trainstack.search.ray.driver import main as run

    raise SystemExit(run())
