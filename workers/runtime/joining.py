"""Joining a study: the worker's client, supervisor and signals."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from importlib.metadata import version

from trainstack.search.database import retry
from trainstack.search.database.connection import artifacts, storage_url
from trainstack.search.queue.maintenance import REQUEUE_SECONDS
from trainstack.search.studies.network_trust import check_trust
from trainstack.search.studies.worker_client import WorkerCard, WorkerClient
from trainstack.workers.messages import Setup
from trainstack.workers.runtime.limits import Limits
from trainstack.workers.runtime.supervisor import Supervisor
from trainstack.workers.runtime.trainer_process import Child

log = logging.getLogger("trainstack.worker")

INTERRUPTED = 130
# Time that the running trial has to write its checkpoint after Ctrl-C.
INTERRUPT_SECONDS = 4.0


def work(options: argparse.Namespace, trainer: Child, start: Callable[[], Child]) -> int:
    """Join a study and work until it is over.

    Args:
        options: The command's arguments.
        trainer: The first trainer, which knows nothing of the study yet.
        start: Starts another one.

    Returns:
        The exit code.

    Raises:
        TrainstackError: The worker cannot serve the study.
    """
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
    spec = client.spec
    if remark := check_trust(spec, options.trust_network):
        log.info(remark)
    if options.data is not None:
        # The data's path differs between machines; its fingerprint identifies it.
        spec = dataclasses.replace(spec, data=dataclasses.replace(spec.data, source=options.data))
    setup = Setup(spec, artifacts(), options.threads, options.memory_mb)
    limits = Limits(options.max_trials, options.drain_timeout, options.stall_timeout)
    supervisor = Supervisor(client, setup, trainer, start, limits)
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
