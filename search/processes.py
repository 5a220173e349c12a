"""What our processes have in common: how their modules are found, what signals mean."""

from __future__ import annotations

import os

# Where the fork server of this command's workers listens; unset: there is none.
FORK_SERVER = "TRAINSTACK_FORK_SERVER"
# Two signals so close together are one: the terminal and a launcher both pass Ctrl-C on.
ECHO_SECONDS = 1.0


def environment(**extra: str) -> dict[str, str]:
    """Return this process's variables for `python -m` of a module of ours, and some more.

    `-m` looks in the current folder first, where a user may well have a package `workers` or
    `search` of their own; from Python 3.11 on this variable says not to.
    """
    return {**os.environ, "PYTHONSAFEPATH": "1", **extra}
