"""The command `python -m trainstack.workers STUDY`: arguments, signals and exit code."""

from __future__ import annotations

import argparse
import functools
import logging
import os
import signal
import sys

from trainstack.search.database import retry
from trainstack.search.database.connection import STORAGE
from trainstack.search.processes import interruption_signals
from trainstack.search.queue.lease import LEASE_SECONDS
from trainstack.spaces.errors import TrainstackError
from trainstack.workers.runtime.limits import STALL_SECONDS
from trainstack.workers.runtime.trainer_process import Child


def main(argv: list[str] | None = None) -> int:
    """Work on a study until it is over; return the exit code."""
    options = _parser().parse_args(argv)
    logging.basicConfig(
        level=options.log_level, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr
    )
    environment = {"CUDA_VISIBLE_DEVICES": options.gpu if options.gpu is not None else "-1"}
    start = functools.partial(Child, environment)
    trainer = start()  # it imports TensorFlow while the worker imports the rest and joins
    from trainstack.workers.runtime.joining import INTERRUPTED, work

    if options.storage_from_input:
        os.environ[STORAGE] = sys.stdin.readline().strip()
        if not os.environ[STORAGE]:
            return 0  # there will be no study to join
    try:
        for number in interruption_signals():  # until there is a trial to give back
            signal.signal(number, signal.default_int_handler)
        return work(options, trainer, start)
    except KeyboardInterrupt:
        return INTERRUPTED  # before there was a trial to give back
    except TrainstackError as error:
        print(f"trainstack: {error}", file=sys.stderr)  # noqa: T201 - the one line on an error
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainstack.workers",
        description=f"Join a study. The storage URL comes from {STORAGE}, never from an argument.",
    )
    parser.add_argument("study")
    parser.add_argument("--threads", type=int, default=0, help="0: one per core")
    parser.add_argument("--gpu", help="number of the GPU to use; without it, the CPU is used")
    parser.add_argument("--data", help="path of the study's data on this machine")
    parser.add_argument(
        "--trust-network",
        action="store_true",
        help="run the network's code even if this machine did not launch the study",
    )
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
        "--storage-from-input",
        action="store_true",
        help="read the storage URL from standard input; exit if it ends without one",
    )
    parser.add_argument(
        "--leave-with-parent", action="store_true", help="leave when standard input ends"
    )
    parser.add_argument("--log-level", default="WARNING")
    return parser
