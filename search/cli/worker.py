"""`worker`: join a study with worker processes on this machine or on an engine."""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainstack.search.cli.checks import MOST_SECONDS, MOST_WORKERS, check_count
from trainstack.search.cli.common import Storage, Study, err
from trainstack.search.cli.engine_options import CpusPerWorker, GpusPerWorker, On, reach_engine
from trainstack.search.cli.gpus import chosen_gpus, installed_gpus
from trainstack.search.cli.interruptions import Interruption
from trainstack.search.cli.local_workers import (
    FAREWELL,
    LEAVE_SECONDS,
    LocalWorkers,
    Workers,
    cores,
)
from trainstack.search.cli.polling import Polling, over
from trainstack.search.cli.signals import INTERRUPTED
from trainstack.search.processes import interruption_signals
from trainstack.search.ray.placement import on_ray
from trainstack.spaces.errors import RequestError

if TYPE_CHECKING:
    from sqlalchemy import URL

    from trainstack.search.cli.ray_workers import RayWorkers
    from trainstack.search.queue.budget import WorkersWanted

POLL_SECONDS = 3.0
WORKERS_LEFT = "interrupted: running trials went back to the queue"


@dataclass(frozen=True)
class Wanted:
    """The options of `trainstack worker`.

    Attributes:
        gpus: `all`, `none`, or numbers separated by commas.
        count: Number of workers; with GPUs, per GPU.
        max_trials: Trials after which each worker exits; None: no limit.
        drain_timeout: Seconds that a trial may still take after SIGTERM.
        start_timeout: Seconds to wait at the start for an unavailable database.
        memory_mb: Memory limit of each trainer, in MiB; 0: no limit.
        data: Local path of the study's data; None: the study's path.
        trust_network: Whether to run a network's code that is not from this machine.
    """

    gpus: str
    count: int
    max_trials: int | None
    drain_timeout: float
    start_timeout: float
    memory_mb: int
    data: str | None
    trust_network: bool = False

    def flags(self) -> tuple[str, ...]:
        """Return the equivalent arguments of `python -m trainstack.workers`."""
        flags = [f"--drain-timeout={self.drain_timeout}", f"--start-timeout={self.start_timeout}"]
        if self.max_trials is not None:
            flags.append(f"--max-trials={self.max_trials}")
        if self.memory_mb:
            flags.append(f"--memory-mb={self.memory_mb}")
        if self.data is not None:
            flags.append(f"--data={self.data}")
        if self.trust_network:
            flags.append("--trust-network")
        return (*flags, "--log-level=INFO")


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command()(worker)


def worker(
    study: Study,
    gpus: Annotated[str, typer.Option(help="all, none, or numbers such as 0,1.")] = "all",
    count: Annotated[
        int,
        typer.Option("--count", "--workers", help="Number of workers; with GPUs, per GPU."),
    ] = 1,
    on: On = None,
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    max_trials: Annotated[
        int | None, typer.Option(help="Trials after which each worker exits.")
    ] = None,
    drain_timeout: Annotated[
        float, typer.Option(help="Seconds that a trial may still take after SIGTERM.")
    ] = 20.0,
    start_timeout: Annotated[
        float,
        typer.Option(help="Seconds to wait at the start for an unavailable database; then exit 3."),
    ] = 30.0,
    memory_mb: Annotated[
        int, typer.Option(help="Memory limit of each trainer, or of its GPU, in MiB; 0: none.")
    ] = 0,
    data: Annotated[
        str | None, typer.Option(help="Local path of the data; default: the study's path.")
    ] = None,
    trust_network: Annotated[
        bool,
        typer.Option(
            "--trust-network", help="Run the code of a user's own network from another machine."
        ),
    ] = False,
    storage: Storage = None,
) -> None:
    """Join this machine to a study.

    It needs the URL of the storage, the name of the study, and the data.

    Example: trainstack worker digits --count 4
    """
    check_count("--count", count, 1, MOST_WORKERS)
    if max_trials is not None:
        check_count("--max-trials", max_trials, 1)
    if not 0 <= drain_timeout <= MOST_SECONDS:
        raise RequestError(f"--drain-timeout {drain_timeout:g}", "0 or more seconds")
    if not 0 <= start_timeout <= MOST_SECONDS:
        raise RequestError(f"--start-timeout {start_timeout:g}", "0 or more seconds")
    check_count("--memory-mb", memory_mb, 0)
    place = on_ray(on, cpus_per_worker, gpus_per_worker)
    if place is not None and gpus != "all":
        raise RequestError(
            f"--gpus {gpus} with --on", "--gpus-per-worker: the engine chooses which"
        )
    wanted = Wanted(
        *(gpus, count, max_trials, drain_timeout, start_timeout, memory_mb, data),
        trust_network=trust_network,
    )
    if place is not None:
        raise typer.Exit(join_by(reach_engine(place, storage), storage, study, wanted))
    raise typer.Exit(join(storage, study, wanted))


def join(storage: str | None, study: str, wanted: Wanted) -> int:
    """Run workers until they end; return the worst of their exit codes.

    Raises:
        RequestError: `--gpus` cannot be read, a GPU does not exist, or the artifact store cannot
            be used.
        StorageAwayError: The database or the artifact store was unavailable for too long.
        StudyError: There is no such study.
    """
    from trainstack.search.database.connection import exported, storage_url
    from trainstack.search.database.retry import patiently

    logging.basicConfig(format="%(asctime)s %(name)s %(message)s")
    chosen = chosen_gpus(wanted.gpus, installed_gpus())
    if chosen and wanted.count > 1 and not wanted.memory_mb:
        raise RequestError(
            f"--count {wanted.count} on each of {len(chosen)} GPU(s)",
            "--memory-mb, the GPU memory of each worker",
            "or omit --count, or pass --gpus none",
        )
    url = storage_url(storage)
    look = partial(_look, url, study, wanted.trust_network)
    news = patiently(look, wanted.start_timeout)
    flags = wanted.flags()
    share = f"--threads={max(1, cores() // max(1, len(chosen) * wanted.count))}"
    with Interruption(*interruption_signals()) as starting:
        crews = [
            LocalWorkers.start(
                exported(url), study, wanted.count, (*flags, f"--gpu={gpu}", share), show=True
            )
            for gpu in chosen
        ] or [LocalWorkers.start(exported(url), study, wanted.count, flags, show=True)]
    _pass_on_signals(crews)
    if starting.interrupted:
        for crew in crews:
            crew.send(signal.SIGINT)
    if not chosen:
        _follow_wanted(url, crews[0], news)
    code = max(crew.worst_exit_code() for crew in crews)
    if code == INTERRUPTED:
        err().print(f"trainstack: {WORKERS_LEFT}", markup=False)
    return code


def join_by(crew: RayWorkers, storage: str | None, study: str, wanted: Wanted) -> int:
    """Run workers on an engine until the study is over; return the worst of their exit codes.

    Raises:
        KeyboardInterrupt: Raised after the workers have returned their trials.
        StorageAwayError: The database or the engine was unavailable for too long.
        StudyError: There is no such study.
    """
    from trainstack.search.cli.watch import scale
    from trainstack.search.database.connection import exported, shared_engine, storage_url
    from trainstack.search.database.retry import patiently
    from trainstack.search.queue import queries

    url = storage_url(storage)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        look = partial(_look, url, study, wanted.trust_network)
        news, here = patiently(look, wanted.start_timeout), shared_engine(url)
        crew.show = True
        crew.start(exported(url), study, wanted.count, wanted.flags())
        with Interruption(signal.SIGINT, signal.SIGTERM) as interruption:
            polling = _polling(url, crew, lambda: interruption.pause(0.0))
            for status, count in polling.of(
                url, lambda: (queries.status(here, study), news.news())
            ):
                scale(crew, count)
                if over(status):
                    break
        crew.finish(LEAVE_SECONDS)
        return crew.worst_exit_code()
    except KeyboardInterrupt:
        crew.interrupt()
        err().print(f"trainstack: {FAREWELL}", markup=False)
        raise
    finally:
        crew.close()


def _follow_wanted(url: URL, crew: LocalWorkers, news: WorkersWanted) -> None:
    """Follow `set STUDY workers=N` until no worker is left."""
    from trainstack.search.cli.watch import scale

    for count in _polling(url, crew).of(url, news.news):
        scale(crew, count)


def _polling(url: URL, crew: Workers, then: Callable[[], object] = lambda: None) -> Polling:
    """Poll until no worker is left; `then` is called after each pause."""
    from trainstack.search.database.connection import shared_engine

    def pause(seconds: float) -> None:
        shared_engine(url).dispose()  # hundreds of such commands would each hold a connection
        crew.wait(seconds)
        then()

    return Polling(pause, POLL_SECONDS, away_seconds=math.inf, going=crew.alive)


def _look(url: URL, study: str, trust_network: bool) -> WorkersWanted:
    """Check study, network and artifact store before any process is started."""
    from trainstack.search.artifacts import open_store
    from trainstack.search.database.connection import artifacts, connected
    from trainstack.search.database.schema import ensure
    from trainstack.search.queue import queries
    from trainstack.search.queue.budget import WorkersWanted
    from trainstack.search.studies.network_trust import check_trust

    with connected(url) as here:
        ensure(here)
        if remark := check_trust(queries.spec_of(here, study), trust_network):
            err().print(remark, markup=False)
        wanted = WorkersWanted(here, study)
        here.dispose()  # not held while workers run on GPUs
    open_store(artifacts()).check()
    return wanted


def _pass_on_signals(crews: list[LocalWorkers]) -> None:
    from trainstack.search.database.retry import hangups

    def pass_on(number: int, frame: Any) -> None:
        for crew in crews:
            crew.send(number)

    # The terminal sends Ctrl-C to the workers too; on the second signal they exit at once.
    for number in (signal.SIGTERM, signal.SIGINT, *hangups()):
        signal.signal(number, pass_on)
