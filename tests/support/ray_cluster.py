"""A Ray cluster on this machine: several raylets with their own processes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

# Long enough for a busy machine; normally no test waits this long.
PATIENCE_SECONDS = 120.0


def free_port() -> int:
    """Return an unused port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def quiet() -> dict[str, str]:
    """Return the environment of Ray's processes, without usage statistics or prompts."""
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return {**kept, "RAY_USAGE_STATS_ENABLED": "0", "NO_PROXY": "*"}


class Node:
    """A raylet; the first of a cluster is also its head.

    Args:
        folder: Where its session lies; short, since sockets are made there.
        cpus: What it offers.
        join: The address of the head; None: this is one.
    """

    def __init__(self, folder: Path, cpus: int, join: str | None = None) -> None:
        self.address = join or f"127.0.0.1:{free_port()}"
        where = [f"--address={join}"]
        if join is None:
            where = ["--head", f"--port={self.address.split(':')[1]}", "--include-dashboard=false"]
            where += [f"--ray-client-server-port={free_port()}", f"--temp-dir={folder}"]
        self.log = folder / f"start-{time.monotonic_ns()}.log"
        options = [f"--num-cpus={cpus}", "--num-gpus=0", "--object-store-memory=80000000"]
        options += ["--node-ip-address=127.0.0.1", "--disable-usage-stats", "--block"]
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).with_name("ray")), "start", *where, *options],
                env=quiet(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        until = time.monotonic() + PATIENCE_SECONDS
        while "runtime started" not in (log := self.log.read_text()):
            assert self.process.poll() is None, log
            assert time.monotonic() < until, log
            time.sleep(0.05)

    def vanish(self) -> None:
        """End every process of the node at once, like a power failure."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        for process in [*family, psutil.Process(self.process.pid)]:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(family, timeout=60)
        self.process.wait()


class Cluster:
    """A head and its nodes; use as a context manager."""

    def __init__(self, cpus: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ray"))
        self.nodes = [Node(self.folder, cpus)]
        self.address = self.nodes[0].address

    def add(self, cpus: int) -> Node:
        """Add a node."""
        node = Node(self.folder, cpus, self.address)
        self.nodes.append(node)
        return node

    def remove(self, node: Node) -> None:
        """End a node abruptly."""
        self.nodes.remove(node)
        node.vanish()

    def actors(self) -> list[str]:
        """Return the names of all actors, as seen by a driver."""
        code = (
            "import ray, sys\nray.init(sys.argv[1], log_to_driver=False, logging_level=40)\n"
            "print(*(a['name'] for a in ray.util.list_named_actors(all_namespaces=True)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, self.address],
            env=quiet(),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    def until_no_actor(self) -> None:
        """Wait until no actor is left."""
        until = time.monotonic() + PATIENCE_SECONDS
        while found := self.actors():
            assert time.monotonic() < until, found

    def close(self) -> None:
        """End all nodes."""
        for node in self.nodes[::-1]:
            node.vanish()
        shutil.rmtree(self.folder, ignore_errors=True)
