"""`--on ray` without a cluster: flags, environment, resources of each worker, Ray's errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from trainstack.search.cli.ray_workers import RayWorkers
from trainstack.search.database.connection import ARTIFACTS, HOME, STORAGE, parse_url
from trainstack.search.ray import actor
from trainstack.search.ray.connection import FORMS, aborted, explained, knock
from trainstack.search.ray.placement import OnRay, handed_over, is_embedded, on_ray
from trainstack.spaces.errors import RequestError, StorageAwayError

REMOTE = parse_url("postgresql://me:s3cr3t@db/study")


def test_where_and_with_what() -> None:
    """The address follows `ray=`; by default a worker gets one CPU and no GPU."""
    pytest.importorskip("ray", reason="needs the extra [ray]")
    assert on_ray("ray", None, None) == OnRay("", 1.0, 0.0)
    assert on_ray("ray=ray://head:10001", 0.5, 0.25) == OnRay("ray://head:10001", 0.5, 0.25)
    assert on_ray(None, None, None) is None


@pytest.mark.parametrize(
    ("flag", "cpus", "gpus", "words"),
    [
        ("slurm", None, None, "--on 'slurm'"),
        ("ray=", None, None, "--on 'ray='"),
        (None, 2.0, None, "--cpus-per-worker without --on"),
        (None, None, 0.5, "--gpus-per-worker without --on"),
        ("ray", 0.0, None, "--cpus-per-worker 0"),
        ("ray", float("nan"), None, "--cpus-per-worker nan"),
        ("ray", None, 2.0, "--gpus-per-worker 2"),
        ("ray", None, -0.1, "--gpus-per-worker -0.1"),
    ],
)
def test_what_cannot_be_meant(
    flag: str | None, cpus: float | None, gpus: float | None, words: str
) -> None:
    """Unknown engines, resources without an engine, and unusable resources are refused."""
    with pytest.raises(RequestError, match=words):
        on_ray(flag, cpus, gpus)


@pytest.mark.process
@pytest.mark.parametrize("verb", ["launch digits", "worker s"])
def test_without_the_extra(verb: str) -> None:
    """One line explains how to install Ray, with exit code 2; no database is started."""
    code = (
        "import sys\nsys.modules['ray'] = None\nfrom trainstack.search.cli.main import main\nmain()"
    )
    command = [sys.executable, "-c", code, *verb.split(), "--on", "ray"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    line = "trainstack: --on ray: Ray is not installed; pip install 'trainstack[ray]'\n"
    assert done.stderr == line


@pytest.mark.parametrize(
    "address", ["head", "head:", ":6379", "head:99999", "http://head:1", "http:/head:1"]
)
def test_what_is_no_address(address: str) -> None:
    """An address without a port, or with an invalid one, is refused with an example."""
    with pytest.raises(RequestError) as caught:
        knock(address)
    assert FORMS in str(caught.value)


@pytest.mark.parametrize(
    ("cpus", "gpus", "room"),
    [(1.0, 0.0, 6), (2.0, 0.0, 3), (4.0, 0.0, 1), (1.0, 0.5, 2), (8, 0, 0)],
)
def test_how_many_fit(cpus: float, gpus: float, room: int) -> None:
    """Workers fit into whole nodes: remainders of two nodes do not add up."""
    nodes = [{"host": "a", "cpus": 4.0, "gpus": 1.0}, {"host": "b", "cpus": 2.0, "gpus": 0.0}]
    assert RayWorkers(OnRay("", cpus, gpus), nodes).room == room


def test_what_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remote workers get the variables for storage and artifacts, and no local path."""
    for name in (HOME, "PGPASSFILE", "AWS_CONFIG_FILE", "SECRET"):
        monkeypatch.setenv(name, "/here")
    monkeypatch.setenv(ARTIFACTS, "s3://bucket/a")
    monkeypatch.setenv("PGPASSWORD", "word")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store")
    along = handed_over(REMOTE)
    assert along[STORAGE] == "postgresql+psycopg2://me:s3cr3t@db/study"
    wanted = {ARTIFACTS: "s3://bucket/a", "PGPASSWORD": "word", "AWS_ENDPOINT_URL": "http://store"}
    assert wanted.items() <= along.items()
    assert not {HOME, "PGPASSFILE", "AWS_CONFIG_FILE", "SECRET"} & set(along)
    assert "word" not in repr(actor.Order("s", "1cpu-0", environment=along))


def test_what_is_this_machines_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket is local; a host, including one given to libpq, is not."""
    monkeypatch.delenv("PGHOST", raising=False)
    assert is_embedded(None)
    assert is_embedded("postgresql://postgres:@/postgres?host=/home/me/postgres")
    assert is_embedded("postgresql:///study")
    assert not is_embedded(REMOTE)
    monkeypatch.setenv("PGHOST", "db")
    assert not is_embedded("postgresql:///study")


def test_a_fraction_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker trains on the GPU assigned by Ray, with its fraction of that GPU's memory."""
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\n[ $1 = --id=3 ] && echo 16000\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(actor, "_assigned_gpus", lambda: ["3"])
    assert actor.device_flags(0.25) == ["--gpu=3", "--memory-mb=4000"]
    assert actor.device_flags(1.0) == ["--gpu=3"]
    assert actor.device_flags(0.0) == []
    driver.unlink()
    assert actor.device_flags(0.25) == ["--gpu=3"]


def test_errors_of_ray_are_one_line() -> None:
    """Versions are named, a machine outside is referred to Ray's client, silence exits 3."""
    mismatch = RuntimeError(
        "Version mismatch: The cluster was started with:\n    Ray: 2.59.0\n    Python: 3.11.7\n"
        "This process on node 10.0.0.1 was started with:\n    Ray: 2.60.0\n    Python: 3.11.7\n"
    )
    error = explained(mismatch, "head:6379")
    assert (error.exit_code, error.problem) == (
        2,
        "another version than the Ray cluster's (Ray 2.59.0 and 2.60.0, Python 3.11.7)",
    )
    crash = "raylet_ipc_client.cc:85: Failed to connect to socket at address:/tmp/raylet\n*** "
    error = aborted(crash, "head:6379")
    assert isinstance(error, RequestError)
    assert "is not a node of the Ray cluster at head:6379" in str(error)
    assert isinstance(aborted("", "head:6379"), StorageAwayError)
    lost = ConnectionError("Initialization failure from server: Traceback (most recent\n  File x")
    assert str(explained(lost, "ray://head:1")).startswith(
        "no answer from the Ray cluster at ray://head:1 (Initialization failure from server);"
    )


def test_interrupted_before_anything_was_placed() -> None:
    """Without placed workers nothing is sent, and no reply is awaited."""

    class Driver:
        asked: ClassVar[list[str]] = []

        def ask(self, **document: Any) -> None:
            self.asked += document

        def next(self, seconds: float = 0.0) -> None:
            raise AssertionError("no reply is expected")

        def close(self) -> None:
            self.asked.append("close")

    workers = RayWorkers(OnRay("", 1, 0), _dialogue=cast(Any, Driver()))
    workers.interrupt()
    assert Driver.asked == ["close"]
