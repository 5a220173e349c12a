"""`--on ray`: workers that run on a Ray cluster."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from trainstack.search.artifact_names import folder_of
from trainstack.search.cli.common import err
from trainstack.search.cli.local_workers import LEAVE_SECONDS
from trainstack.search.ray.driver_client import CONNECT_SECONDS, Dialogue
from trainstack.search.ray.placement import MOST_CPUS, OnRay, handed_over, namespace
from trainstack.spaces.errors import RequestError, TrainstackError

# Seconds without news after which to reconnect, and seconds to keep trying.
SILENT_SECONDS, AWAY_SECONDS = 60.0, 120.0


@dataclass
class RayWorkers:
    """A study's workers on a Ray cluster; see `trainstack.search.cli.local_workers.LocalWorkers`.

    Attributes:
        place: The cluster, and the resources per worker.
        nodes: The cluster's nodes at the time of connection.
        wanted: Target number of workers.
    """

    place: OnRay
    nodes: list[dict[str, Any]] = field(default_factory=list)
    wanted: int = 0
    show: bool = False
    _order: dict[str, Any] | None = None
    _workers: list[dict[str, Any]] = field(default_factory=list)
    _dialogue: Dialogue | None = None
    _heard: float = 0.0
    _away_since: float | None = None
    _reported: str = ""

    @classmethod
    def connect(cls, place: OnRay, embedded: bool) -> RayWorkers:
        """Connect to the cluster, before anything is created.

        Args:
            place: The cluster, and the resources per worker.
            embedded: True for the embedded database, which other machines cannot reach.

        Raises:
            RequestError: The cluster cannot be used, or no node has the resources for a worker.
            StorageAwayError: The cluster does not answer.
        """
        made = cls(place)
        made._begin()
        made._check(embedded)
        return made

    def _begin(self) -> None:
        self._dialogue = Dialogue(self.place.address)
        self.nodes, self._heard = self._dialogue.nodes, time.monotonic()

    def _ask(self, **document: Any) -> None:
        if self._dialogue is not None:
            self._dialogue.ask(**document)

    def _check(self, embedded: bool) -> None:
        """Reject requests that these nodes cannot serve."""
        import socket

        if not self.room:
            most = max(self.nodes, key=lambda n: (n["gpus"], n["cpus"]), default=None)
            has = f"{most['cpus']:g} CPUs and {most['gpus']:g} GPUs" if most else "nothing"
            self.close()
            raise RequestError(
                f"no node of the Ray cluster has {self.place.cpus:g} CPUs "
                f"and {self.place.gpus:g} GPUs for a worker",
                f"resources of some node, such as {has}",
                "change --cpus-per-worker and --gpus-per-worker, or add such a node",
            )
        elsewhere = sorted({n["host"] for n in self.nodes} - {socket.gethostname()})
        if embedded and elsewhere:
            self.close()
            raise RequestError(
                f"the embedded database, which Ray's node {elsewhere[0]} cannot reach",
                "a PostgreSQL server that every node reaches",
                "set --storage or TRAINSTACK_STORAGE",
            )
        from trainstack.search.database.connection import ARTIFACTS

        if elsewhere and ARTIFACTS not in os.environ:
            err().print(f"set {ARTIFACTS} to a location that all nodes can reach", markup=False)

    @property
    def room(self) -> int:
        """Number of workers that fit on the cluster's nodes when idle."""
        return sum(
            min(
                int(node["cpus"] / self.place.cpus + 1e-9),
                int(node["gpus"] / self.place.gpus + 1e-9) if self.place.gpus else MOST_CPUS,
            )
            for node in self.nodes
        )

    def start(self, url: str, study: str, count: int, flags: tuple[str, ...] = ()) -> RayWorkers:
        """Place `count` workers, including those that an earlier command placed.

        Afterwards, closing the terminal ends the command but not the workers.
        """
        from trainstack.search.database.connection import home, parse_url
        from trainstack.search.database.retry import hangups

        self._order = {
            "study": study,
            "namespace": namespace(parse_url(url), study),
            "kind": self.place.kind,
            "cpus": self.place.cpus,
            "gpus": self.place.gpus,
            "flags": [f"--threads={self.place.threads}", "--log-level=INFO", *flags],
            "environment": handed_over(parse_url(url)),
            "logs": str(home() / "logs" / folder_of(study)),
        }
        if count > self.room:
            waiting = count - self.room
            err().print(
                f"the cluster has room for {self.room} of {count} workers: "
                f"{waiting} will wait for nodes that join",
                markup=False,
            )
        for hangup in hangups():
            signal.signal(hangup, signal.SIG_DFL)
        self._ask(place=self._order)
        self.keep(count)
        return self

    def keep(self, count: int) -> None:
        """Scale to `count` workers."""
        self.wanted = count
        self._workers = [{"state": "waiting", "code": None}] * count
        self._ask(keep=count)

    def _hear(self) -> None:
        """Process the driver's messages; replace a driver that ended or stopped responding.

        Raises:
            StorageAwayError: The cluster has been away for too long.
        """
        gone = False
        with contextlib.suppress(queue.Empty):
            while self._dialogue is not None and not gone:
                news = self._dialogue.next()
                gone = news is None
                if news is not None and "workers" in news:
                    self._heard = time.monotonic()
                    self._update(news)
        if self._dialogue is None or gone or time.monotonic() - self._heard > SILENT_SECONDS:
            self._begin_again()

    def _begin_again(self) -> None:
        if self._order is None:
            return
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            err().print("Ray does not answer: trying again", markup=False)
        self.close()
        try:
            self._begin()
        except TrainstackError:
            if time.monotonic() - self._away_since > AWAY_SECONDS:
                raise
            return
        self._away_since = None
        err().print("Ray answers again", markup=False)
        self._ask(place=self._order)
        self._ask(keep=self.wanted)

    def _update(self, news: dict[str, Any]) -> None:
        """Record the state of the workers and report changes."""
        if self.show:
            for line in news["lines"]:
                err().print(line, markup=False)
        if news["wanted"] != self.wanted:
            return  # the driver has not received the new count yet
        self._workers = news["workers"]
        states = [worker["state"] for worker in self._workers]
        running, waiting = states.count("running"), states.count("waiting")
        line = f"on Ray: {running} of {self.wanted} workers run"
        if waiting:
            line += f", {waiting} {'waits' if waiting == 1 else 'wait'} for a node"
        if line != self._reported:
            self._reported = line
            err().print(line, markup=False)

    def alive(self) -> int:
        """Return the number of workers that run or wait for a node."""
        self._hear()
        return sum(worker["state"] != "ended" for worker in self._workers)

    def failure(self) -> tuple[int, str] | None:
        """Return exit code and last line of a worker that failed, or None."""
        for worker in self._workers:
            if worker["code"]:
                return worker["code"], worker["words"] or "see trainstack logs"
        return None

    def worst_exit_code(self) -> int:
        """Return the worst exit code so far, by the shell's rule."""
        codes = [worker["code"] or 0 for worker in self._workers]
        return max((code if code >= 0 else 128 - code for code in codes), default=0)

    def wait(self, at_most_seconds: float) -> None:
        """Wait until no worker is left, for at most `at_most_seconds`."""
        self._until(lambda: not self.alive(), at_most_seconds)

    def placed(self, at_most_seconds: float = 10.0) -> None:
        """Wait until Ray has registered the workers."""
        self._until(lambda: bool(self.alive() and self._reported), at_most_seconds)

    @staticmethod
    def _until(true: Callable[[], bool], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not true() and time.monotonic() < until:
            time.sleep(0.2)

    def finish(self, seconds: float) -> None:
        """Wait for the workers to exit after the study is over, and remove all actors."""
        self._ask(finish=seconds)
        self._until_finished(seconds)

    def interrupt(self) -> None:
        """Let every worker return its trial and exit, then close the connection."""
        if self._order is not None:
            self._ask(leave=LEAVE_SECONDS)
            self._until_finished(LEAVE_SECONDS)
        self.close()

    def _until_finished(self, seconds: float) -> None:
        until = time.monotonic() + 2 * seconds + CONNECT_SECONDS
        with contextlib.suppress(queue.Empty):
            while self._dialogue is not None:
                news = self._dialogue.next(until - time.monotonic())
                if news is None:
                    break
                self._update(news)
                if news["finished"]:
                    break
        self.close()

    def close(self) -> None:
        """Close the connection; running workers continue."""
        if self._dialogue is not None:
            self._dialogue.close()
            self._dialogue = None
