"""The fork server that a command starts for the trainers of its workers."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from trainstack.search.processes import FORK_SERVER, environment, interrupts_blocked

# Trainers that may connect at the same time, while TensorFlow is still being imported.
MOST_WAITING = 1024


@contextlib.contextmanager
def fork_server(needed: bool = True) -> Iterator[None]:
    """Fork the trainers of all workers that are started within this context from one process.

    That process imports TensorFlow once for all of them, while the command loads data, opens the
    database and starts the workers. Without it (forking is only safe on Linux) every trainer
    imports TensorFlow itself. If the command is killed, it lives until its last trainer ends.
    """
    if not needed or sys.platform != "linux" or FORK_SERVER in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="trainstack-", ignore_cleanup_errors=True) as folder:
        process, address = _start(folder)  # the folder is private to this user
        os.environ[FORK_SERVER] = address
        try:
            yield
        finally:
            del os.environ[FORK_SERVER]
            process.kill()
            process.communicate()


def _start(folder: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start the process; return it and its address, which accepts connections at once."""
    address = f"{folder}/forks"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(MOST_WAITING)
        process = None
        try:
            with interrupts_blocked():
                process = subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "trainstack.workers.runtime.fork_server",
                        str(listener.fileno()),
                        folder,
                    ],
                    stdin=subprocess.PIPE,  # closed when the command ends
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[listener.fileno()],
                    env=environment(),
                )
        except BaseException:  # interrupted meanwhile
            if process is not None:
                process.kill()
                process.communicate()
            raise
    return process, address
