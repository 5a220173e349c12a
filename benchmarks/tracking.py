"""What `--track mlflow=URI` costs a study of 40 trials.

    python -m benchmarks.tracking [PAIRS]

runs the same study without and with a tracker, in turns, on a real MLflow server of this machine.
Compared, pair by pair, are the processor time of the launch, its workers and the database, where a
tracker could be in the way, and the seconds until the recommendation is printed. The processor time
of the tracker's own process, which has the lowest priority, is printed for each study.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from sqlalchemy import URL

from benchmarks.scale import database
from benchmarks.table import Row, write
from tests.support.mlflow_server import runs_of, server_in
from trainstack.search.database.connection import exported

TRIALS, EPOCHS, PAIRS = 40, 40, 3
# Every trial and every run of the confirmation is the same in each study.
FIXED = (
    *("launch", "digits", f"--trials={TRIALS}", f"--epochs={EPOCHS}", "--workers=2"),
    *("--sampler=random", "--pruner=none", "--replicates=3", "--most-replicates=3"),
    *("--no-yardstick", "--no-earlier-studies", "--json"),
)
BAR = 1.0
# Seconds between two looks at the tracker's processor time.
LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Cost:
    """What one study cost.

    Attributes:
        hot: Processor seconds of the launch, its workers and the database.
        tracker: Processor seconds of the tracker's process.
        seconds: Seconds until the recommendation was printed.
        leaving: Seconds from then to the end of the command.
    """

    hot: float
    tracker: float
    seconds: float
    leaving: float


def study(name: str, environment: dict[str, str], server: Callable[[], float], *flags: str) -> Cost:
    """Run a study and measure it.

    Args:
        name: Its name.
        environment: The command's environment.
        server: Returns the processor seconds of the database so far.
        *flags: Further flags.
    """
    before, began = server(), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "trainstack", *FIXED, f"--study={name}", *flags],
        env=environment,
        stdout=subprocess.PIPE,
    )
    used: list[float] = []
    watch = threading.Thread(target=_tracker, args=(process.pid, used.append), daemon=True)
    watch.start()
    assert process.stdout is not None
    process.stdout.read(1)
    printed = time.perf_counter() - began
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    watch.join()
    tracker = max(used, default=0.0)
    hot = usage.ru_utime + usage.ru_stime - tracker + server() - before
    return Cost(hot, tracker, printed, time.perf_counter() - began - printed)


def _tracker(launch: int, note: Callable[[float], object]) -> None:
    """Note the processor seconds of a launch's tracker until both have ended."""
    found: psutil.Process | None = None
    while psutil.pid_exists(launch):
        try:
            parent = psutil.Process(launch)
            if parent.status() == psutil.STATUS_ZOMBIE:
                return
            for child in parent.children() if found is None else ():
                if "trainstack.search.tracking" in child.cmdline():
                    found = child
            if found is not None:
                times = found.cpu_times()
                note(times.user + times.system + times.children_user + times.children_system)
        except psutil.Error:
            pass  # it has just ended
        time.sleep(LOOK_SECONDS)


def _server_seconds(url: URL) -> float:
    """Return the processor seconds of the database, and of its sessions that have ended."""
    started = Path(str(url.query["host"])) / "postmaster.pid"
    server = psutil.Process(int(started.read_text().split()[0]))
    return sum(
        t.user + t.system + t.children_user + t.children_system
        for t in (process.cpu_times() for process in (server, *server.children()))
    )


def costs(pairs: int) -> tuple[list[Cost], list[Cost]]:
    """Run pairs of studies; return what those without and those with a tracker cost."""
    plain, tracked = [], []
    with (
        database() as url,
        tempfile.TemporaryDirectory() as folder,
        server_in(Path(folder)) as there,
    ):
        from mlflow import MlflowClient

        there.start()
        client = MlflowClient(tracking_uri=there.uri)
        home = {"TRAINSTACK_HOME": f"{folder}/home", "TRAINSTACK_STORAGE": exported(url)}
        environment = {**os.environ, **home}
        server = partial(_server_seconds, url)
        flag = f"--track=mlflow={there.uri}"
        for k in range(pairs):
            turns = [(plain, "plain", ()), (tracked, "tracked", (flag,))]
            for found, name, flags in turns if k % 2 else turns[::-1]:
                found.append(study(f"{name} {k}", environment, server, *flags))
                print(f"  {name} {found[-1]}", file=sys.stderr, flush=True)
            trials = [key for key in runs_of(client, f"tracked {k}") if key.startswith("trial ")]
            assert len(trials) == TRIALS
    return plain, tracked


def rows(pairs: int = PAIRS) -> list[Row]:
    """Return the rows of the benchmark's table."""
    plain, tracked = costs(pairs)

    def middle(found: Sequence[Cost], what: str) -> float:
        return statistics.median(getattr(cost, what) for cost in found)

    def more(what: str) -> float:
        return 100 * (statistics.median(_ratios(plain, tracked, what)) - 1)

    title = f"a study of {TRIALS} trials in MLflow"
    return [
        Row(
            f"{title}: {name}",
            *(f"{middle(tracked, what):.0f} s", f"untracked: {middle(plain, what):.0f} s"),
            *(more(what), BAR, False, "%"),
        )
        for what, name in (
            ("hot", "processor time of launch, workers and database"),
            ("seconds", "until the recommendation"),
        )
    ]


def _ratios(plain: Sequence[Cost], tracked: Sequence[Cost], what: str) -> list[float]:
    """Return a figure of the tracked study over the untracked one's, pair by pair."""
    return [getattr(b, what) / getattr(a, what) for a, b in zip(plain, tracked, strict=True)]


if __name__ == "__main__":
    print(write(rows(*map(int, sys.argv[1:]))))
