"""A user's network on workers elsewhere: its code runs only where it is trusted."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support.fake_bench import fake
from tests.support.fleet import PATIENCE_SECONDS, Fleet
from tests.support.own_networks import own_network
from tests.support.ray_cluster import Cluster, quiet
from tests.support.shell import Shell, refused
from tests.support.slurm import submit
from trainstack.search.database.connection import STORAGE, exported
from trainstack.search.own_network import OwnNetwork

pytestmark = [pytest.mark.fleet, pytest.mark.postgres, pytest.mark.timeout(900)]

REFUSAL = "study 's' runs the code of network.py:lenet"


@pytest.fixture
def machine(url: URL, tmp_path: Path) -> Shell:
    """A machine that did not launch the study."""
    return Shell(tmp_path / "elsewhere", {STORAGE: exported(url), **fake(), **quiet()})


def create(fleet: Fleet, tmp_path: Path) -> OwnNetwork:
    """Create a study of a network whose text no machine has seen."""
    found = own_network("lenet")
    new = OwnNetwork(found.file, found.function, f"{found.code}# {tmp_path}\n", found.inputs)
    fleet.create(trials=2, epochs=2, network=new)
    return new


def test_a_remote_worker_runs_a_network_if_told_to(
    fleet: Fleet, machine: Shell, tmp_path: Path
) -> None:
    """It refuses with exit code 2, then runs the code, and remembers it without the flag."""
    network = create(fleet, tmp_path)
    line = refused(machine.run("worker", "s"), 2)
    assert REFUSAL in line
    assert "--trust-network" in line
    assert fleet.status()["counts"]["completed"] == 0
    process = fleet.join()
    assert process.wait(PATIENCE_SECONDS) == 2
    assert REFUSAL in fleet.log(process)
    done = machine.run("worker", "s", "--trust-network")
    assert done.returncode == 0, done.stderr
    assert f"it runs the code of network.py:lenet (sha256 {network.content}" in done.stderr
    assert fleet.status()["concluded"]
    assert machine.run("worker", "s").returncode == 0


def test_a_batch_job_runs_a_network_if_told_to(
    fleet: Fleet, machine: Shell, tmp_path: Path
) -> None:
    """Slurm's script passes the permission on that its submission gives."""
    create(fleet, tmp_path)
    task = submit(machine, 1, STUDY="s")
    assert REFUSAL in task.communicate(timeout=PATIENCE_SECONDS)[0]
    assert task.returncode == 2
    task = submit(machine, 1, STUDY="s", TRUST_NETWORK="1")
    output = task.communicate(timeout=PATIENCE_SECONDS)[0]
    assert task.returncode == 0, output
    assert fleet.status()["counts"]["completed"] == 2


def test_workers_on_ray_run_a_network_if_told_to(
    fleet: Fleet, machine: Shell, tmp_path: Path
) -> None:
    """The driver refuses before it places workers; with the flag their nodes run the code."""
    pytest.importorskip("ray", reason="needs the extra [ray]")
    create(fleet, tmp_path)
    with closing(Cluster(cpus=1)) as cluster:
        command = ("worker", "s", "--on", f"ray={cluster.address}", "--workers", "1")
        done = machine.run(*command)
        assert done.returncode == 2, done.stderr
        assert REFUSAL in done.stderr
        assert cluster.actors() == []
        done = machine.run(*command, "--trust-network")
        assert done.returncode == 0, done.stderr
        assert fleet.status()["counts"]["completed"] == 2
