"""The command in a process of its own, which ends with the program that started it.

The program keeps the other end of standard input open. When it writes to it, or ends in any way,
the command is interrupted, as by Ctrl-C: its trials go back to the queue.
"""

from __future__ import annotations

import os
import signal
import threading


def main() -> None:
    """Run the command with this process's arguments."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    from trainstack.search.cli.__main__ import main as command

    command()


def _leave_with_parent() -> None:
    os.read(0, 1)  # returns with what is written, or when the other end is closed
    # Shells and `nohup` may let a process ignore SIGINT.
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
