"""Workers placed by a Ray cluster of several raylets, with simulated training."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import URL

from tests.support.fake_bench import fake
from tests.support.fleet import PATIENCE_SECONDS, Fleet
from tests.support.ray_cluster import Cluster, free_port, quiet
from tests.support.shell import Shell, interrupt, refused
from trainstack.search.database.connection import STORAGE, exported

pytest.importorskip("ray", reason="needs the extra [ray]")
# A vanished node's trial waits for the end of its lease, a minute or two on a busy machine.
pytestmark = [pytest.mark.fleet, pytest.mark.postgres, pytest.mark.timeout(900)]

SECRET = "s3cr3t-word"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two nodes, with room for one worker of one CPU on each."""
    here = Cluster(cpus=1)
    here.add(cpus=1)
    yield here
    here.close()


@pytest.fixture
def machine(url: URL, tmp_path: Path) -> Shell:
    """A machine with a password for the database; no trial ends before the file `hold` exists."""
    canned = fake(hold=str(tmp_path / "hold"), epoch_seconds=0.01)
    settings = {STORAGE: exported(url.set(password=SECRET)), **canned, **quiet()}
    return Shell(tmp_path / "home", settings)


def until(true: Callable[[], Any]) -> Any:
    """Wait until a condition is true, and return its value."""
    limit = time.monotonic() + PATIENCE_SECONDS
    while not (found := true()):
        assert time.monotonic() < limit
        time.sleep(0.1)
    return found


def training(count: int) -> Callable[[dict[str, Any]], bool]:
    """Tell whether this number of workers is training."""
    return lambda status: sum(w["state"] == "training" for w in status["workers"]) == count


def end(process: subprocess.Popen[str]) -> None:
    """End a command started by a test, and its workers; show its output."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    print(*process.communicate(), sep="\n")  # noqa: T201 - where a test fails


def test_local_placed_and_started_by_hand(
    cluster: Cluster, fleet: Fleet, machine: Shell, tmp_path: Path
) -> None:
    """Three kinds of workers serve one study: exact budget, no actor left, no password shown."""
    fleet.create(trials=12, epochs=2)
    command = ("worker", "s", "--on", f"ray={cluster.address}", "--workers", "2")
    placed, local = machine.start(*command), machine.start("worker", "s")
    by_hand = fleet.join(hold=str(tmp_path / "hold"))
    try:
        fleet.until(training(4))
        shown = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"])]
        assert not any(SECRET in word for words in shown for word in words or ())
        (tmp_path / "hold").touch()
        status = fleet.concluded()
        assert (
            placed.wait(PATIENCE_SECONDS),
            local.wait(PATIENCE_SECONDS),
            by_hand.returncode,
        ) == (0, 0, 0)
    finally:
        end(placed)
        end(local)
    assert status["counts"]["completed"] == 12
    assert status["counts"]["retried"] == 0
    assert cluster.actors() == []
    files = [path for path in cluster.folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not any(SECRET.encode() in path.read_bytes() for path in files)


def test_a_driver_that_goes_and_comes_back(
    cluster: Cluster, fleet: Fleet, machine: Shell, tmp_path: Path
) -> None:
    """After a kill, a closed terminal or --detach workers continue; the next driver finds them."""
    launch = ("launch", "digits", "--study", "s", "--trials", "5", "--epochs", "2")
    launch += ("--replicates", "1", "--on", f"ray={cluster.address}", "--workers", "2")
    done = machine.run(*launch, "--detach")
    assert done.returncode == 0, done.stderr
    fleet.until(training(2))
    first, names = {w["id"] for w in fleet.status()["workers"]}, set(cluster.actors())
    assert len(names) == 2
    for ending in (signal.SIGHUP, signal.SIGKILL):
        driver = machine.start(*launch)
        assert driver.stderr is not None
        until(lambda driver=driver: "2 of 2 workers run" in driver.stderr.readline())
        driver.send_signal(ending)
        driver.wait(PATIENCE_SECONDS)
        end(driver)
    assert set(cluster.actors()) == names
    again = machine.start(*launch)
    try:
        (tmp_path / "hold").touch()
        status = fleet.until(lambda status: status["concluded"])
        errors = again.communicate(timeout=PATIENCE_SECONDS)[1]
    finally:
        end(again)
    assert "resuming study 's'" in errors
    assert {t["worker"] for t in fleet.trials()} <= first
    assert (status["counts"]["completed"], status["counts"]["retried"]) == (5, 0)
    until(lambda: not cluster.actors())  # when the study is over, they leave without a driver


def test_ctrl_c(cluster: Cluster, fleet: Fleet, machine: Shell) -> None:
    """Trials return to the queue, the workers leave, and the exit code is 130."""
    launch = ("launch", "digits", "--study", "s", "--on", f"ray={cluster.address}")
    driver = machine.start(*launch, "--workers", "2")
    try:
        until(lambda: machine.json("status"))  # created
        fleet.until(training(2))
        errors = interrupt(driver)[1]
    finally:
        end(driver)
    assert driver.returncode == 130
    assert "running trials went back to the queue" in errors
    status = fleet.status()
    assert (status["counts"]["running"], status["workers"]) == (0, [])
    assert cluster.actors() == []


def test_more_and_fewer(cluster: Cluster, fleet: Fleet, machine: Shell, tmp_path: Path) -> None:
    """`set workers=` scales the actors; one without a node starts as soon as a node joins."""
    fleet.create(trials=6, epochs=2)
    command = ("worker", "s", "--on", f"ray={cluster.address}", "--drain-timeout", "0")
    driver = machine.start(*command)
    node = None
    try:
        fleet.until(training(1))
        assert machine.run("set", "s", "workers=3").returncode == 0
        fleet.until(training(2))
        assert driver.stderr is not None
        until(lambda: "2 of 3 workers run, 1 waits" in driver.stderr.readline())
        node = cluster.add(cpus=1)
        fleet.until(training(3))
        assert machine.run("set", "s", "workers=1").returncode == 0
        fleet.until(lambda status: len(status["workers"]) == 1)
        (tmp_path / "hold").touch()
        status = fleet.until(lambda status: status["concluded"])
        assert driver.wait(PATIENCE_SECONDS) == 0
    finally:
        end(driver)
        if node is not None:
            cluster.remove(node)
    assert status["counts"]["completed"] == 6
    assert cluster.actors() == []


def test_output_of_workers_is_found(
    cluster: Cluster, fleet: Fleet, machine: Shell, tmp_path: Path
) -> None:
    """A trainer's death appears in `trainstack logs` and in Ray's file."""
    fleet.create(trials=2, epochs=2)
    fault = fake(fault="die", once=str(tmp_path / "once"))
    shell = Shell(machine.home, {**machine.extra, **fault})
    done = shell.run("worker", "s", "--on", f"ray={cluster.address}")
    assert done.returncode == 0, done.stderr
    words = "starting another trainer"
    assert words in done.stderr
    assert words in shell.run("logs", "s").stdout
    files = cluster.folder.glob("session_*/logs/worker-*.err")
    assert any(words in path.read_text("utf-8", "replace") for path in files)


def test_a_node_that_vanishes(
    cluster: Cluster, fleet: Fleet, machine: Shell, tmp_path: Path
) -> None:
    """Its trial returns to the queue, its worker moves to another node; the budget is exact."""
    doomed = cluster.add(cpus=2)
    fleet.create(trials=6, epochs=2)
    command = ("worker", "s", "--on", f"ray={cluster.address}", "--workers", "2")
    driver, spare = machine.start(*command, "--cpus-per-worker", "2"), None
    try:
        fleet.until(training(1))
        spare = cluster.add(cpus=4)
        fleet.until(training(2))
        cluster.remove(doomed)
        (tmp_path / "hold").touch()
        status = fleet.until(lambda status: status["concluded"])
        assert driver.wait(PATIENCE_SECONDS) == 0
    finally:
        end(driver)
        if spare is not None:
            cluster.remove(spare)
    assert (status["counts"]["completed"], status["counts"]["retried"]) == (6, 1)
    assert cluster.actors() == []


def test_a_cluster_that_cannot_be_used(cluster: Cluster, machine: Shell) -> None:
    """No answer exits 3, unavailable resources exit 2, and nothing is created in either case."""
    launch = ("launch", "wine", "--detach", "--on")
    line = refused(machine.run(*launch, f"ray=127.0.0.1:{free_port()}"), 3)
    assert "no answer from the Ray cluster" in line
    address = f"ray={cluster.address}"
    line = refused(machine.run(*launch, address, "--gpus-per-worker", "0.5"), 2)
    assert "0.5 GPUs" in line
    assert machine.json("status") == []


def test_another_version_of_ray(cluster: Cluster) -> None:
    """One line names the cluster's version and ours."""
    code = (
        "import ray, sys\nray.__version__ = '2.59.0'\n"
        "from trainstack.search.ray.connection import connect\n"
        "try: connect(sys.argv[1])\n"
        "except Exception as error: print(error.exit_code, error)"
    )
    command = [sys.executable, "-c", code, cluster.address]
    done = subprocess.run(command, env=quiet(), capture_output=True, text=True, check=True)
    assert done.stdout.startswith("2 another version than the Ray cluster's (Ray ")
    assert "2.59.0" in done.stdout
    assert len(done.stdout.splitlines()) == 1
