"""`--on ray`: workers that Ray places, as the command line sees them."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from trainstack.search.artifacts import folder_of
from trainstack.search.cli.common import err
from trainstack.search.cli.local_workers import LEAVE_SECONDS
from trainstack.search.ray.driver_client import CONNECT_SECONDS, Dialogue
from trainstack.search.ray.placement import MOST_CPUS, OnRay, handed_over, namespace
from trainstack.spaces.errors import RequestError, TrainstackError

# How long a cluster may be silent, and how long it is then tried to come back to it.
SILENT_SECONDS, AWAY_SECONDS = 60.0, 120.0


@dataclass
class RayWorkers:
    """A study's workers on a Ray cluster; see `trainstack.search.cli.local_workers.LocalWorkers`.

    Attributes:
        place: Where, and with what.
        nodes: The cluster's nodes as they were at the start.
        wanted: How many workers are meant to work.
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
    _told: str = ""

    @classmethod
    def connect(cls, place: OnRay, embedded: bool) -> RayWorkers:
        """Reach the cluster, before anything is created.

        Args:
            place: Where.
            embedded: The storage is this machine's, which no other reaches.

        Raises:
            RequestError: The cluster cannot be used, or no node has what a worker needs.
            StorageAwayError: It does not answer.
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
        """Refuse what cannot work on these nodes."""
        import socket

        if not self.room:
            most = max(self.nodes, key=lambda n: (n["gpus"], n["cpus"]), default=None)
            has = f"{most['cpus']:g} CPUs and {most['gpus']:g} GPUs" if most else "nothing"
            self.close()
            raise RequestError(
                f"no node of the Ray cluster has {self.place.cpus:g} CPUs "
                f"and {self.place.gpus:g} GPUs for a worker",
                f"what some node has, such as {has}",
                "change --cpus-per-worker and --gpus-per-worker, or add such a node first",
            )
        elsewhere = sorted({n["host"] for n in self.nodes} - {socket.gethostname()})
        if embedded and elsewhere:
            self.close()
            raise RequestError(
                f"the embedded database, which Ray's node {elsewhere[0]} cannot reach",
                "a PostgreSQL server that every node reaches",
                "give --storage or TRAINSTACK_STORAGE",
            )
        from trainstack.search.database.connection import ARTIFACTS

        if elsewhere and ARTIFACTS not in os.environ:
            err().print(f"set {ARTIFACTS} to a place that all nodes see, too", markup=False)

    @property
    def room(self) -> int:
        """How many workers the cluster's nodes have room for, were they empty."""
        return sum(
            min(
                int(node["cpus"] / self.place.cpus + 1e-9),
                int(node["gpus"] / self.place.gpus + 1e-9) if self.place.gpus else MOST_CPUS,
            )
            for node in self.nodes
        )

    def start(self, url: str, study: str, count: int, flags: tuple[str, ...] = ()) -> RayWorkers:
        """Place so many workers, those that an earlier command placed included.

        From now on a terminal that closes ends the command, and the workers go on.
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
        """Have so many from now on."""
        self.wanted = count
        self._workers = [{"state": "waiting", "code": None}] * count
        self._ask(keep=count)

    def _hear(self) -> None:
        """Take in what the driver says; one that is gone or silent is replaced.

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
                    self._tell(news)
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

    def _tell(self, news: dict[str, Any]) -> None:
        """Take in how the workers fare, and say what is new."""
        if self.show:
            for line in news["said"]:
                err().print(line, markup=False)
        if news["wanted"] != self.wanted:
            return  # it has not yet heard how many we want
        self._workers = news["workers"]
        states = [worker["state"] for worker in self._workers]
        running, waiting = states.count("running"), states.count("waiting")
        told = f"on Ray: {running} of {self.wanted} workers run"
        if waiting:
            told += f", {waiting} {'waits' if waiting == 1 else 'wait'} for a node"
        if told != self._told:
            self._told = told
            err().print(told, markup=False)

    def alive(self) -> int:
        """Return how many work, or wait for a node."""
        self._hear()
        return sum(worker["state"] != "ended" for worker in self._workers)

    def failure(self) -> tuple[int, str] | None:
        """Return exit code and last words of a worker that ended badly, or None."""
        for worker in self._workers:
            if worker["code"]:
                return worker["code"], worker["words"] or "see trainstack logs"
        return None

    def worst_exit_code(self) -> int:
        """Return the worst exit code so far, as a shell says it."""
        codes = [worker["code"] or 0 for worker in self._workers]
        return max((code if code >= 0 else 128 - code for code in codes), default=0)

    def wait(self, at_most_seconds: float) -> None:
        """Wait until none is left, or for so long."""
        self._until(lambda: not self.alive(), at_most_seconds)

    def placed(self, at_most_seconds: float = 10.0) -> None:
        """Wait until Ray knows of the workers."""
        self._until(lambda: bool(self.alive() and self._told), at_most_seconds)

    @staticmethod
    def _until(true: Callable[[], bool], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not true() and time.monotonic() < until:
            time.sleep(0.2)

    def finish(self, seconds: float) -> None:
        """The study is over: wait for the workers to leave; no actor stays behind."""
        self._ask(finish=seconds)
        self._until_finished(seconds)

    def interrupt(self) -> None:
        """Let every worker give back what it holds and leave; before any was placed, only go."""
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
                self._tell(news)
                if news["finished"]:
                    break
        self.close()

    def close(self) -> None:
        """Go away; workers that are still there stay."""
        if self._dialogue is not None:
            self._dialogue.close()
            self._dialogue = None
