"""A machine whose network is cut for longer than a lease, and restored."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support.fleet import Fleet

pytestmark = [
    pytest.mark.fleet,
    pytest.mark.postgres,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("ip") is None, reason="needs root and iproute2"
    ),
]


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Machine:
    """A network namespace, joined to this one by a virtual cable."""

    def __init__(self) -> None:
        self.name = f"ts{os.getpid()}"
        self.here, self.there = f"{self.name}h"[:15], f"{self.name}t"[:15]
        net = os.getpid() % 250
        self.address = f"10.99.{net}.1"
        try:
            ip("netns", "add", self.name)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr!r}")
        ip("link", "add", self.here, "type", "veth", "peer", "name", self.there)
        ip("link", "set", self.there, "netns", self.name)
        ip("addr", "add", f"{self.address}/24", "dev", self.here)
        ip("link", "set", self.here, "up")
        inside = ("netns", "exec", self.name, "ip")
        ip(*inside, "addr", "add", f"10.99.{net}.2/24", "dev", self.there)
        ip(*inside, "link", "set", self.there, "up")
        ip(*inside, "link", "set", "lo", "up")

    def cut(self) -> None:
        """Disconnect the cable: packets are lost without an error."""
        ip("link", "set", self.here, "down")

    def heal(self) -> None:
        """Reconnect it."""
        ip("link", "set", self.here, "up")

    def remove(self) -> None:
        ip("netns", "del", self.name)


class Door:
    """Forwards TCP connections to the server's socket."""

    def __init__(self, address: str, path: str) -> None:
        self.path = path
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                outer, _ = self.listener.accept()
            except OSError:
                return
            inner = socket.socket(socket.AF_UNIX)
            inner.connect(self.path)
            for one, other in ((outer, inner), (inner, outer)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass_on(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        finally:
            other.close()


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Another machine."""
    there = Machine()
    yield there
    there.remove()


def test_cut_and_healed(fleet: Fleet, machine: Machine, url: URL) -> None:
    """A disconnected machine finds its trial gone, writes nothing, and continues to serve."""
    door = Door(machine.address, str(Path(str(url.query["host"])) / ".s.PGSQL.5432"))
    remote = url.set(host=machine.address, port=door.port, query={})
    fleet.create(trials=2, epochs=30)
    inside = ("ip", "netns", "exec", machine.name)
    late = fleet.join(url=remote, before=inside, epoch_seconds=0.2)
    fleet.training()
    machine.cut()
    fleet.until(lambda status: status["workers"][0]["last_seen_seconds"] > 1)
    fleet.join("--max-trials=1", epoch_seconds=0.0)
    fleet.until(lambda status: status["counts"]["completed"] == 1)
    fleet.join("--max-trials=1", epoch_seconds=0.0)
    before = fleet.until(lambda status: status["counts"]["completed"] == 2) and fleet.trials()
    machine.heal()
    status = fleet.concluded()
    assert fleet.trials() == before
    assert (status["counts"]["completed"], status["counts"]["retried"]) == (2, 1)
    assert late.returncode == 0
    assert str(late.pid) not in [t["worker"] for t in before]
    door.listener.close()
