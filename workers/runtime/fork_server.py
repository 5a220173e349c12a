"""The fork server: TensorFlow is imported once, and every trainer of a command is a fork.

`python -m trainstack.workers.runtime.fork_server LISTENER FOLDER`: serves the listening socket
with that file descriptor, whose address lies in the folder. Only TensorFlow's modules are loaded:
it has started no threads and touched no device, which makes forking safe (decision 0070).

A client connects, sends three file descriptors (the trainer's pipe, standard output and standard
error) and keeps the connection: closing it kills the trainer, and the exit code is sent over it
when the trainer ends. The trainer's arguments follow through the pipe.
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

# Timeout for a client's file descriptors, which it sends immediately.
GREETING_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1


class Server:
    """Forks trainers, kills those whose client is gone, and reports their exit codes.

    Args:
        listener: Socket to which clients connect.
        life: File descriptor that reaches its end when the command that started the server exits.
    """

    def __init__(self, listener: socket.socket, life: int) -> None:
        self.listener, self.life = listener, life
        self.clients: dict[int, socket.socket] = {}  # by process id of the trainer
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)
        self.selector.register(life, selectors.EVENT_READ)
        self.woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self.selector.register(self.woken, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until the command and all trainers have ended."""
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
        """Kill a trainer whose client is gone; its process id is valid until it is reaped."""
        self.selector.unregister(self.clients[pid])
        os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        for pid in list(self.clients):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            client = self.clients.pop(pid)
            with contextlib.suppress(KeyError):  # if it was killed
                self.selector.unregister(client)
            with contextlib.suppress(OSError):
                client.sendall(str(os.waitstatus_to_exitcode(status)).encode())
            client.close()

    def _become_trainer(self, client: socket.socket, handles: list[int]) -> None:
        """Continue as a trainer; never return."""
        try:
            signal.set_wakeup_fd(-1)
            # Ctrl-C stays ignored: the supervisor handles it.
            for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            # Only the server can end this process, so it must not outlive the server.
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
            os._exit(1)  # a trainer that succeeds has already exited


def main() -> None:
    """Import TensorFlow and serve."""
    # Ctrl-C and a closing terminal reach every process of it; the server ends when it is unused.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    unblock_interrupts()
    listener, folder = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    try:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # GPU workers do not use the fork server
        if trainer.BENCH not in os.environ:
            set_keras()
            import trainstack.workers.tasks.jobs
            import trainstack.workers.tasks.measure  # noqa: F401 - needed by trainers later
        gc.collect()
        gc.freeze()  # a collection would copy the shared pages
        # NumPy's threads, which it stops around a fork.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        Server(listener, 0).serve()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


if __name__ == "__main__":
    main()
