"""A study's actors of one kind on a Ray cluster, including those of earlier drivers."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainstack.search.ray.actor import RESTARTS, Order, TrainstackWorker
from trainstack.search.ray.connection import ray

# An actor that died without its worker ending is replaced after this time.
REPLACE_SECONDS = 60.0
# States of a worker: waiting for a node, running, ended.
WAITING, RUNNING, ENDED = "waiting", "running", "ended"


@dataclass
class ActorRecord:
    """The driver's record of one actor.

    Attributes:
        name: Name in the study's namespace.
        actor: Ray's handle.
        asked: Pending request, if any.
        answer: Last reply.
        state: WAITING, RUNNING or ENDED.
        code: The worker's exit code, once it ended.
        words: Last line of its log.
        placed: Monotonic time of its placement.
        seen: Number of bytes copied of each of its log files.
    """

    name: str
    actor: Any
    asked: Any = None
    answer: dict[str, Any] | None = None
    state: str = WAITING
    code: int | None = None
    words: str = ""
    placed: float = field(default_factory=time.monotonic)
    seen: dict[str, int] = field(default_factory=dict)

    def ended(self, code: int, words: str) -> None:
        """Mark the actor as ended."""
        self.state, self.code, self.words = ENDED, code, words or self.words

    def shown(self) -> dict[str, Any]:
        """Return the state for the command line."""
        where = (self.answer or {}).get("host")
        about = {"name": self.name, "state": self.state, "host": where}
        return {**about, "code": self.code, "words": self.words}


@dataclass
class ActorGroup:
    """The actors of one study that have the same resources.

    They are named and detached, so a driver finds those of an earlier one by their names.

    Attributes:
        namespace: The study's namespace in Ray.
        kind: Prefix of their names; encodes their resources.
        cpus: CPUs per actor.
        gpus: GPUs per actor, possibly a fraction.
        order: Instructions for each actor, without its name.
        logs: Folder into which their logs are copied.
        active: Actors that should work, by name.
        leaving: Actors that are finishing their trial before they leave.
        wanted: Number of actors that should work.
        over: Whether the study is over, after which none is placed.
        lines: Output of workers not yet returned by `take_lines`.
    """

    namespace: str
    kind: str
    cpus: float
    gpus: float
    order: Order
    logs: Path
    active: dict[str, ActorRecord] = field(default_factory=dict)
    leaving: dict[str, ActorRecord] = field(default_factory=dict)
    wanted: int = 0
    over: bool = False
    lines: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> ActorGroup:
        """Create a group from the command line's request."""
        order = Order(
            study=document["study"],
            name="",
            flags=tuple(document["flags"]),
            gpus=document["gpus"],
            environment=document["environment"],
        )
        names = document["namespace"], document["kind"]
        logs = Path(document["logs"])
        logs.mkdir(parents=True, exist_ok=True)
        return cls(*names, document["cpus"], document["gpus"], order, logs)

    def keep(self, count: int) -> None:
        """Scale to `count` workers, including those of earlier drivers."""
        self.wanted = count
        names = [f"{self.kind}-{place}" for place in range(count)]
        for name in names:
            if name not in self.active or self.active[name].state == ENDED:
                self.active[name] = self._place(name)
        here = self._present()
        for name in here - set(names) - set(self.leaving):
            if name.rpartition("-")[0] != self.kind:
                continue
            record = self.active.get(name)
            with contextlib.suppress(ValueError):  # it ended meanwhile
                record = record or ActorRecord(
                    name, ray().get_actor(name, namespace=self.namespace)
                )
                self._dismiss(record, signal.SIGTERM)
        for name in set(self.active) - set(names):
            del self.active[name]

    def _place(self, name: str) -> ActorRecord:
        self.leaving.pop(name, None)
        order = Order(**{**vars(self.order), "name": name})
        actor = (
            ray()
            .remote(TrainstackWorker)
            .options(
                name=name,
                namespace=self.namespace,
                lifetime="detached",
                get_if_exists=True,
                max_restarts=RESTARTS,
                num_cpus=self.cpus,
                num_gpus=self.gpus,
            )
            .remote(order)
        )
        actor.begin.remote()  # the worker of an existing actor may have ended
        return ActorRecord(name, actor)

    def _dismiss(self, record: ActorRecord, number: int) -> None:
        self.leaving[record.name] = record
        if record.answer is None and not self._answers(record):
            # It waits for a node. If it has just begun, its worker detects the end of the actor.
            ray().kill(record.actor, no_restart=True)
        else:
            record.actor.leave.remote(int(number))

    def _answers(self, record: ActorRecord) -> bool:
        record.asked = record.asked or record.actor.look.remote({})
        ready, _ = ray().wait([record.asked], timeout=2.0)
        return bool(ready)

    def look(self) -> list[dict[str, Any]]:
        """Poll all actors, replace lost ones, and return their states."""
        everyone = [*self.active.values(), *self.leaving.values()]
        for record in everyone:
            if record.state != ENDED and record.asked is None:
                record.asked = record.actor.look.remote(record.seen)
        asked = {record.asked: record for record in everyone if record.asked is not None}
        if asked:
            ready, _ = ray().wait(list(asked), num_returns=len(asked), timeout=0.2)
            for reference in ready:
                self._hear(asked[reference])
        for name in [n for n, record in self.leaving.items() if record.state == ENDED]:
            del self.leaving[name]
        return [record.shown() for record in (*self.active.values(), *self.leaving.values())]

    def _hear(self, record: ActorRecord) -> None:
        from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError

        reference, record.asked = record.asked, None
        try:
            answer = ray().get(reference)
        except ActorUnavailableError:
            record.state = WAITING  # its node is gone; Ray places it again
        except ActorDiedError as error:
            self._lost(record, error)
        except RayError as error:
            self._refused(record, error)
        else:
            record.answer, record.state = answer, RUNNING
            self._copy(record, answer["log"])
            if answer["code"] is not None:
                record.ended(answer["code"], "")
                ray().kill(record.actor, no_restart=True)

    def _lost(self, record: ActorRecord, error: Any) -> None:
        if error.actor_init_failed:
            self._refused(record, error)
        elif self.over or record.name in self.leaving:
            record.ended(0, "")
        elif time.monotonic() - record.placed >= REPLACE_SECONDS:
            self.active[record.name] = self._place(record.name)
        else:
            record.state = WAITING

    def _refused(self, record: ActorRecord, error: BaseException) -> None:
        """Mark an actor as ended that cannot run on its node; it is not replaced."""
        words = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
        if "No module named" in words:
            words = (
                f"a node of the Ray cluster lacks trainstack ({words}); "
                "expected this version on every node; pip install 'trainstack[ray]' there"
            )
        record.ended(2, words)
        self.lines.append(f"{record.name}: {record.words}")

    def _copy(self, record: ActorRecord, log: Mapping[str, Any]) -> None:
        """Write a part of a worker's log at its offset, so repeating it is harmless."""
        text: bytes = log["text"]
        if not text:
            return
        record.seen[log["name"]] = log["at"] + len(text)
        path = self.logs / log["name"]
        path.touch()
        with path.open("r+b") as file:
            file.seek(log["at"])
            file.write(text)
        lines = text.decode("utf-8", "replace").strip().splitlines()
        if lines:
            record.words = lines[-1].removeprefix("trainstack: ")
        self.lines += [f"{record.name}: {line}" for line in lines]

    def take_lines(self) -> list[str]:
        """Return the lines that workers wrote since the last call."""
        lines, self.lines = self.lines, []
        return lines

    def _present(self) -> set[str]:
        """Return the names of all actors of the study."""
        found = ray().util.list_named_actors(all_namespaces=True)
        return {row["name"] for row in found if row["namespace"] == self.namespace}

    def leave(self, seconds: float) -> None:
        """Tell all workers to give back their tasks and leave; wait up to `seconds`."""
        dismissed = [record for record in self.active.values() if record.state != ENDED]
        self.wanted, self.active = 0, {}
        for record in dismissed:
            self._dismiss(record, signal.SIGINT)
        self.finish(seconds)

    def finish(self, seconds: float) -> None:
        """Wait up to `seconds` for all workers to leave, then kill the remaining actors."""
        self.over, until = True, time.monotonic() + seconds
        while (
            any(record["state"] == RUNNING for record in self.look()) and time.monotonic() < until
        ):
            time.sleep(0.2)
        everyone = {**self.active, **self.leaving}
        while (here := self._present() & set(everyone)) and time.monotonic() < until + seconds:
            for name in here:
                ray().kill(everyone[name].actor, no_restart=True)
            time.sleep(0.2)
        for record in self.active.values():
            if record.state != ENDED:
                record.ended(0, "")
        self.leaving.clear()
