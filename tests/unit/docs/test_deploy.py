"""The files of `deploy/` and `docker-compose.yml` match the command, its flags and its variables.

Nothing is run: no container engine, cluster or batch system is needed.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.support.documents import ROOT, understood
from trainstack.search.database.connection import ARTIFACTS, HOME, STORAGE, parse_url

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
WITH_PODS = [path for path in MANIFESTS if path.name != "artifacts.yaml"]
OTHERS = ("postgres", "login")
OURS = {name: s for name, s in COMPOSE["services"].items() if name not in OTHERS}
DEPLOYED = [
    ROOT / "docker-compose.yml",
    *sorted(p for p in (ROOT / "deploy").rglob("*") if p.is_file()),
]


def containers(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the containers of a manifest's pods."""
    for document in yaml.safe_load_all(path.read_text("utf-8")):
        if "template" in document["spec"]:
            yield from document["spec"]["template"]["spec"]["containers"]


def defaulted(text: str) -> str:
    """Replace each `${NAME:-default}` by its default, and `${NAME:+words}` by the words."""
    return re.sub(r"\$\{\w+:[-+]([\w-]+)\}", r"\1", text)


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_known_command_against_a_readable_storage(name: str) -> None:
    """Compose's services use existing verbs and flags, and a storage URL without a password."""
    service = OURS[name]
    assert (
        understood([re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in service["command"]])
        is None
    )
    url = parse_url(service["environment"][STORAGE])
    assert (url.host, url.password) == ("postgres", None)
    assert service["depends_on"]["postgres"]["condition"] == "service_healthy"


@pytest.mark.process
def test_compose_is_valid_by_its_schema() -> None:
    """The compose file is valid against the Compose specification's schema."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    path = str(ROOT / "docker-compose.yml")
    done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.name)
def test_a_manifest_is_valid_by_kubernetes_schemas(path: Path) -> None:
    """Every document is valid against its kind's schema, which rejects misspelt fields."""
    for document in yaml.safe_load_all(path.read_text("utf-8")):
        kubernetes_validate.validate(document, "1.34", strict=True)


def test_passwords_come_from_secrets() -> None:
    """No service of the compose file has a password in its environment."""
    secrets = set(COMPOSE["secrets"])
    for name, service in COMPOSE["services"].items():
        assert set(service["secrets"]) <= secrets, name
        words = [key for key in service.get("environment", {}) if "PASSWORD" in key]
        assert all(key.endswith("PASSWORD_FILE") for key in words), name
        assert all(
            service["environment"][key] == "/run/secrets/postgres_password" for key in words
        ), name


def test_the_dashboard_is_behind_a_login() -> None:
    """Only the proxy is published, and it requires the login on every page."""
    assert "ports" not in COMPOSE["services"]["dashboard"]
    lines = (ROOT / "deploy" / "dashboard.conf").read_text("utf-8").splitlines()
    passed_on = [k for k, line in enumerate(lines) if "proxy_pass" in line]
    asked = [k for k, line in enumerate(lines) if "auth_basic_user_file" in line]
    assert len(passed_on) == len(asked) == 1
    assert asked < passed_on


def test_nothing_is_published_beyond_loopback() -> None:
    """The database and the dashboard's login listen on this machine only."""
    ports = [p for service in COMPOSE["services"].values() for p in service.get("ports", [])]
    assert ports
    assert all(str(port).startswith("127.0.0.1:") for port in ports)


def test_the_gpu_service_is_asked_for_by_name() -> None:
    """`docker compose up` needs no GPU: the GPU service is under a profile."""
    assert COMPOSE["services"]["worker-gpu"]["profiles"] == ["gpu"]
    assert [n for n, s in COMPOSE["services"].items() if "deploy" in s] == ["worker-gpu"]


@pytest.mark.parametrize("path", WITH_PODS, ids=lambda p: p.name)
def test_a_manifest_runs_a_known_command(path: Path) -> None:
    """Kubernetes' containers use existing verbs and flags; passwords come from a Secret."""
    found = list(containers(path))
    assert found
    for container in found:
        if "args" in container:
            assert understood(container["args"]) is None
        for variable in container.get("env", []):
            if "PASSWORD" in variable["name"]:
                assert variable["valueFrom"]["secretKeyRef"] == {
                    "name": "trainstack",
                    "key": "password",
                }
            if variable["name"] == STORAGE:
                assert parse_url(variable["value"]).password is None


@pytest.mark.parametrize(
    ("path", "start"),
    [("slurm/worker.sbatch", "exec "), ("systemd/trainstack-worker.service", "ExecStart=")],
)
def test_a_script_runs_a_known_command(path: str, start: str) -> None:
    """The batch script and the unit each run one command with existing verbs and flags."""
    lines = (ROOT / "deploy" / path).read_text("utf-8").splitlines()
    (line,) = [line.removeprefix(start) for line in lines if line.startswith(start)]
    program, *argv = shlex.split(defaulted(line))
    assert program.rsplit("/", 1)[-1] == "trainstack"
    assert understood(argv) is None


@pytest.mark.process
def test_the_batch_script_is_sound_shell() -> None:
    """bash parses the whole script."""
    script = ROOT / "deploy" / "slurm" / "worker.sbatch"
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


@pytest.mark.parametrize("path", DEPLOYED, ids=lambda p: str(p.relative_to(ROOT)))
def test_our_variables_are_spelt_right(path: Path) -> None:
    """Every TRAINSTACK_… variable set by a file is read by the program."""
    named = set(re.findall(r"\bTRAINSTACK_\w+", path.read_text("utf-8")))
    assert named <= {STORAGE, HOME, ARTIFACTS}


@pytest.mark.parametrize("path", DEPLOYED, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_a_worker_is_given_to_stop_outlasts_its_drain(path: Path) -> None:
    """Stop timeouts are longer than the drain time of a running trial."""
    text = path.read_text("utf-8")
    drains = [float(n) for n in re.findall(r"--drain-timeout[\s\",]+(\d+)", text)]
    graces = re.findall(
        r"(?:stop_grace_period: |terminationGracePeriodSeconds: |TimeoutStopSec=|TERM@)(\d+)", text
    )
    assert len(graces) >= bool(drains)
    assert all(float(grace) > max(drains) for grace in graces if drains)


def test_the_image_holds_every_package() -> None:
    """The Dockerfile copies the package with its folders and leaves root."""
    lines = (ROOT / "deploy" / "Dockerfile").read_text("utf-8").splitlines()
    for package in ("spaces", "search", "workers", "trainstack"):
        assert f"COPY {package} {package}" in lines
    assert lines.index("USER trainstack") > max(k for k, line in enumerate(lines) if "pip" in line)
