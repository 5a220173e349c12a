"""The command `python -m trainstack.workers STUDY`: arguments, signals and exit code."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import logging
import os
import signal
import socket
import sys
import threading
from importlib.metadata import version

from trainstack.search.database import retry
from trainstack.search.database.connection import STORAGE, artifacts, storage_url
from trainstack.search.processes import interruption_signals
from trainstack.search.queue.maintenance import LEASE_SECONDS, REQUEUE_SECONDS
from trainstack.search.studies.worker_client import WorkerCard, WorkerClient
from trainstack.spaces.errors import TrainstackError
from trainstack.workers.runtime.limits import STALL_SECONDS, Limits
from trainstack.workers.runtime.supervisor import Supervisor
from trainstack.workers.runtime.trainer_process import Child

INTERRUPTED = 130
# Time that the running trial has to write its checkpoint after Ctrl-C.
INTERRUPT_SECONDS = 4.0


def main(argv: list[str] | None = None) -> int:
    """Work on a study until it is over; return the exit code."""
    try:
        for number in interruption_signals():  # until there is a trial to give back
            signal.signal(number, signal.default_int_handler)
        options = _parser().parse_args(argv)
        logging.basicConfig(
            level=options.log_level, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr
        )
        return _work(options)
    except KeyboardInterrupt:
        return INTERRUPTED  # before there was a trial to give back
    except TrainstackError as error:
        print(f"trainstack: {error}", file=sys.stderr)  # noqa: T201 - the one line on an error
        return error.exit_code


def _work(options: argparse.Namespace) -> int:
    card = WorkerCard(
        host=socket.gethostname(),
        pid=os.getpid(),
        device=f"gpu:{options.gpu}" if options.gpu is not None else "cpu",
        threads=options.threads,
        version=version("trainstack"),
    )
    retry.install()
    join = functools.partial(
        WorkerClient.open,
        storage_url(),
        options.study,
        card,
        lease_seconds=options.lease,
        requeue_seconds=min(REQUEUE_SECONDS, options.lease / 6),
    )
    client = retry.patiently(join, options.start_timeout)
    environment = {"CUDA_VISIBLE_DEVICES": options.gpu if options.gpu is not None else "-1"}
    spec = client.spec
    if options.data is not None:
        # The data's path differs between machines; its fingerprint identifies it.
        spec = dataclasses.replace(spec, data=dataclasses.replace(spec.data, source=options.data))
    start = functools.partial(
        Child, spec, options.threads, artifacts(), environment, options.memory_mb
    )
    limits = Limits(options.max_trials, options.drain_timeout, options.stall_timeout)
    supervisor = Supervisor(client, start, limits)
    interrupted = []

    def on_interrupt(number: int, frame: object) -> None:
        interrupted.append(number)
        supervisor.leave_soon(INTERRUPT_SECONDS)

    signal.signal(signal.SIGTERM, lambda number, frame: supervisor.leave_soon())
    for number in (signal.SIGINT, *retry.hangups()):
        signal.signal(number, on_interrupt)
    if options.leave_with_parent:
        threading.Thread(target=_follow_parent, args=(supervisor,), daemon=True).start()
    with client.exporting():
        supervisor.run()
    return INTERRUPTED if interrupted else 0


def _follow_parent(supervisor: Supervisor) -> None:
    """Leave when the process at the other end of standard input has ended, for any reason."""
    while os.read(0, 1):
        pass
    supervisor.leave_soon(INTERRUPT_SECONDS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainstack.workers",
        description=f"Join a study. The storage URL comes from {STORAGE}, never from an argument.",
    )
    parser.add_argument("study")
    parser.add_argument("--threads", type=int, default=0, help="0: one per core")
    parser.add_argument("--gpu", help="number of the GPU to use; without it, the CPU is used")
    parser.add_argument("--data", help="path of the study's data on this machine")
    parser.add_argument("--max-trials", type=int)
    parser.add_argument(
        "--start-timeout",
        type=float,
        default=retry.START_SECONDS,
        help="seconds to wait at the start for an unavailable database before exiting with 3",
    )
    parser.add_argument("--drain-timeout", type=float, default=20.0)
    parser.add_argument(
        "--stall-timeout",
        type=float,
        default=STALL_SECONDS,
        help="seconds without an epoch after which the trainer is replaced",
    )
    parser.add_argument(
        "--lease",
        type=float,
        default=LEASE_SECONDS,
        help="seconds without a heartbeat after which other workers may take this worker's trial",
    )
    parser.add_argument(
        "--memory-mb", type=int, default=0, help="limit of the trainer's memory, or of its GPU's"
    )
    parser.add_argument(
        "--leave-with-parent", action="store_true", help="leave when standard input ends"
    )
    parser.add_argument("--log-level", default="WARNING")
    return parser
