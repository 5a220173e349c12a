"""The fork server: TensorFlow is imported once, and every trainer of a command is a fork.

`python -m trainstack.workers.runtime.fork_server LISTENER FOLDER`: serves the listening socket
with that file descriptor, whose address lies in the folder. Of TensorFlow nothing but its modules
is loaded: it has started no threads and touched no device, which is what makes forking safe
(decision 0070).

A client connects, sends three file descriptors (of the trainer's pipe, its standard output and its
standard error), and keeps the connection: closing it kills the trainer, and when the trainer ends
the exit code comes back. What to train follows through the pipe.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import selectors
import shutil
import signal
import socket
import sys
import traceback
import warnings
from multiprocessing.connection import Connection

from trainstack.search.processes import unblock_interrupts
from trainstack.workers.engine.keras_settings import set_keras
from trainstack.workers.runtime import trainer
from trainstack.workers.runtime.fake_bench import FAKE

# How long a client may take to send its file descriptors, which it does at once.
GREETING_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1


class Server:
    """Forks trainers, kills those whose client is gone, and says how they ended.

    Args:
        listener: Where clients connect.
        life: File descriptor that ends when the command that started us does.
    """

    def __init__(self, listener: socket.socket, life: int) -> None:
        self.listener, self.life = listener, life
        self.clients: dict[int, socket.socket] = {}  # by the process id of their trainer
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)
        self.selector.register(life, selectors.EVENT_READ)
        self.woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self.selector.register(self.woken, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until the command is gone and so are all trainers."""
        open_for_more = True
        while open_for_more or self.clients:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fd == self.life:
                    open_for_more = False
                    self.selector.unregister(self.life)
                    self.selector.unregister(self.listener)
                    self.listener.close()
                elif key.fd == self.woken:
                    os.read(self.woken, 4096)
                    self._reap()
                else:
                    self._kill(key.data)

    def _accept(self) -> None:
        client, _ = self.listener.accept()
        client.settimeout(GREETING_SECONDS)
        try:
            _, handles, _, _ = socket.recv_fds(client, 1, 3)
        except OSError:
            client.close()
            return
        if len(handles) == 3:
            pid = os.fork()
            if pid == 0:
                self._become_trainer(client, handles)
            self.clients[pid] = client
            self.selector.register(client, selectors.EVENT_READ, pid)
        else:
            client.close()
        for handle in handles:
            os.close(handle)

    def _kill(self, pid: int) -> None:
        """End a trainer whose client is gone; one that is not reaped yet has its number still."""
        self.selector.unregister(self.clients[pid])
        os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        for pid in list(self.clients):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            client = self.clients.pop(pid)
            with contextlib.suppress(KeyError):  # where it was killed
                self.selector.unregister(client)
            with contextlib.suppress(OSError):
                client.sendall(str(os.waitstatus_to_exitcode(status)).encode())
            client.close()

    def _become_trainer(self, client: socket.socket, handles: list[int]) -> None:
        """Go on as a trainer: never returns."""
        try:
            signal.set_wakeup_fd(-1)
            # Ctrl-C stays ignored: trainers leave that to their supervisor.
            for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            # The server is what would end us; without it nothing else may keep us.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            for other in (self.listener, *self.clients.values()):
                other.close()
            self.selector.close()
            pipe, out, err = handles
            os.dup2(out, 1)
            os.dup2(err, 2)
            client.close()
            connection = Connection(pipe)
            environment, arguments = connection.recv()
            os.environ.update(environment)
            trainer.main(connection, *arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(1)  # a trainer that ends well has left by itself


def main() -> None:
    """Import TensorFlow, and serve."""
    # Ctrl-C and a terminal that closes reach everyone of it; we end when nobody needs us.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    unblock_interrupts()
    listener, folder = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    try:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # workers of a GPU have no part in this
        if FAKE not in os.environ:
            set_keras()
            import trainstack.workers.tasks.jobs
            import trainstack.workers.tasks.measure  # noqa: F401 - what trainers need sooner or later
        gc.collect()
        gc.freeze()  # what is collected would be copied
        # NumPy's own threads, which it puts away around a fork.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        Server(listener, 0).serve()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


if __name__ == "__main__":
    main()
