"""A study's actors of one kind on a Ray cluster: as many as are wanted, whoever placed them."""

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

# A worker whose actor died for good, and not by an ending of its own, gets another after so long.
REPLACE_SECONDS = 60.0
# What is said of a worker: waiting for a node, at work, or how it ended.
WAITING, RUNNING, ENDED = "waiting", "running", "ended"


@dataclass
class ActorRecord:
    """One actor.

    Attributes:
        name: Its name in the study's namespace.
        actor: Its handle.
        asked: What was asked of it and is not yet answered.
        answer: What it said last.
        state: How it fares.
        code: The worker's exit code, once it ended.
        words: Its last words.
        placed: When.
        seen: Of each of its log files, how many bytes we have.
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
        """Write down how it ended."""
        self.state, self.code, self.words = ENDED, code, words or self.words

    def shown(self) -> dict[str, Any]:
        """Return what the command line wants to know."""
        where = (self.answer or {}).get("host")
        about = {"name": self.name, "state": self.state, "host": where}
        return {**about, "code": self.code, "words": self.words}


@dataclass
class ActorGroup:
    """The actors of one study that have the same resources.

    They are named and detached: a driver finds those of an earlier one by their names.

    Attributes:
        namespace: Ray's, the study's own.
        kind: What their names begin with; it says their resources.
        cpus: Of each.
        gpus: Of each, fractions included.
        order: What each does; its name is put in.
        logs: Folder into which their logs are copied.
        active: Those that are meant to work, by name.
        leaving: Those that were told to finish their trial and go.
        wanted: How many are meant to work.
        over: The study is: none is placed any more.
        lines: What workers said that nobody was told yet.
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
        """Read what the command line sends."""
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
        """Have so many from now on, those of earlier drivers included."""
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
            with contextlib.suppress(ValueError):  # it went meanwhile
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
        actor.begin.remote()  # one that an earlier driver placed may have ended its work
        return ActorRecord(name, actor)

    def _dismiss(self, record: ActorRecord, number: int) -> None:
        self.leaving[record.name] = record
        if record.answer is None and not self._answers(record):
            # It waits for a node. Should it have begun just now, its worker notices.
            ray().kill(record.actor, no_restart=True)
        else:
            record.actor.leave.remote(int(number))

    def _answers(self, record: ActorRecord) -> bool:
        record.asked = record.asked or record.actor.look.remote({})
        ready, _ = ray().wait([record.asked], timeout=2.0)
        return bool(ready)

    def look(self) -> list[dict[str, Any]]:
        """Ask all how they fare, and put others in the place of those that are lost."""
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
            record.state = WAITING  # its node is gone, Ray places it anew
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
        """Its actor cannot work where it was placed: one more would not either."""
        words = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
        if "No module named" in words:
            words = (
                f"a node of the Ray cluster lacks trainstack ({words}); "
                "expected this version on every node; pip install 'trainstack[ray]' there"
            )
        record.ended(2, words)
        self.lines.append(f"{record.name}: {record.words}")

    def _copy(self, record: ActorRecord, log: Mapping[str, Any]) -> None:
        """Put what a worker said into a file of ours, at its place: twice is once."""
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

    def heard(self) -> list[str]:
        """Return what workers said since the last time, a line each."""
        lines, self.lines = self.lines, []
        return lines

    def _present(self) -> set[str]:
        """Return the names of the study's actors, whoever placed them."""
        found = ray().util.list_named_actors(all_namespaces=True)
        return {row["name"] for row in found if row["namespace"] == self.namespace}

    def leave(self, seconds: float) -> None:
        """Have all give back what they hold and leave; wait for that, for so long."""
        dismissed = [record for record in self.active.values() if record.state != ENDED]
        self.wanted, self.active = 0, {}
        for record in dismissed:
            self._dismiss(record, signal.SIGINT)
        self.finish(seconds)

    def finish(self, seconds: float) -> None:
        """The study is over: wait for all to leave, for so long, and let no actor stay behind."""
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
