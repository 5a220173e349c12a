"""Every service of docker-compose.yml, run as local processes: command, environment, health check.

The steps performed by an image itself (creating the database and its user, including nginx's
configuration) are done by the tests; addresses inside Compose's network become ports of this
machine.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.support.documents import ROOT
from tests.support.fake_bench import fake
from trainstack.search.database import embedded_postgres
from trainstack.search.database.connection import HOME

pytestmark = [pytest.mark.fleet, pytest.mark.postgres]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))[
    "services"
]
PASSWORD, LOGIN = "p@ss/w:rd %4 $1", "me:{PLAIN}open sesame"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Network:
    """What Compose gives the services: names, secrets and volumes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres, self.dashboard, self.login = free_port(), free_port(), free_port()
        for name, secret in (("postgres_password", PASSWORD), ("dashboard_login", LOGIN)):
            (folder / name).write_text(secret)

    def here(self, text: str) -> str:
        """Replace Compose's addresses and paths in a word by this machine's."""
        for ours, theirs in (
            ("/run/secrets/", f"{self.folder}/"),
            ("@postgres:5432", f"@127.0.0.1:{self.postgres}"),
            ("/artifacts", str(self.folder / "artifacts")),
            ("dashboard:8080", f"127.0.0.1:{self.dashboard}"),
            ("127.0.0.1:8080", f"127.0.0.1:{self.dashboard}"),
        ):
            text = text.replace(ours, theirs)
        return re.sub(r"\$\{STUDY:-\w+\}", "wine", text)

    def start(self, name: str, *argv: str, **options: Any) -> subprocess.Popen[str]:
        """Run a service's entrypoint with its command, or another one, in its environment."""
        service = SERVICES[name]
        words = argv or tuple(self.here(str(word)) for word in service["command"])
        environment = {k: self.here(str(v)) for k, v in service["environment"].items()}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "TRAINSTACK_"))}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        settings = {
            **kept,
            **environment,
            "PATH": path,
            HOME: str(self.folder / "home"),
            **fake(),
        }
        return subprocess.Popen(
            ["sh", str(ROOT / "deploy" / "entrypoint.sh"), *words],
            env=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )


@pytest.fixture
def network() -> Iterator[Network]:
    """The services' network with its database, which requires the password over TCP."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        here = Network(Path(folder))
        data, secret = here.folder / "database", here.folder / "postgres_password"
        asked = SERVICES["postgres"]["environment"]
        user, base = asked["POSTGRES_USER"], asked["POSTGRES_DB"]
        data.mkdir(mode=0o700)
        embedded_postgres._give_to_system_user(data)
        auth = ("--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}")
        embedded_postgres._run(
            "initdb", "-D", str(data), "-U", user, *auth, "-E", "utf8", "--no-sync"
        )
        options = f"-c listen_addresses=127.0.0.1 -p {here.postgres} -k {data}"
        log = ("-l", str(data / "log"))
        embedded_postgres._run("pg_ctl", "-D", str(data), "-w", *log, "-o", options, "start")
        try:
            port = str(here.postgres)
            embedded_postgres._run("createdb", "-h", str(data), "-p", port, "-U", user, base)
            yield here
        finally:
            embedded_postgres._run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")


def healthy(name: str, network: Network, **changes: str) -> bool:
    """Run a service's health check."""
    kind, *words = SERVICES[name]["healthcheck"]["test"]
    words = [network.here(word) for word in words]
    if kind == "CMD-SHELL":
        words = ["sh", "-c", *words]
    path = f"{Path(sys.executable).parent}:{embedded_postgres._binaries()}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **changes}
    return subprocess.run(words, check=False, capture_output=True, env=environment).returncode == 0


def until_healthy(name: str, network: Network, process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 60
    while not healthy(name, network):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit, name
        time.sleep(0.1)


def status_of(address: str, login: str = "") -> int:
    """Return the HTTP status of a page, requested with a login."""
    request = urllib.request.Request(address)
    if login:
        request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@contextlib.contextmanager
def nginx(network: Network) -> Iterator[str]:
    """Run the login service with its configuration; yield the dashboard's address behind it."""
    text = network.here((ROOT / "deploy" / "dashboard.conf").read_text("utf-8"))
    text = text.replace("listen 8080", f"listen 127.0.0.1:{network.login}")
    main = "daemon off; pid nginx.pid; error_log stderr; events {} http { access_log off;\n"
    if os.geteuid() == 0:
        main = f"user nobody nogroup; {main}"
    (network.folder / "nginx.conf").write_text(f"{main}{text}}}\n")
    folder = str(network.folder)
    process = subprocess.Popen(["nginx", "-p", folder, "-c", "nginx.conf"], stderr=-1, text=True)
    try:
        limit = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", network.login), 1).close()
                break
            except OSError:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < limit
                time.sleep(0.05)
        yield f"http://127.0.0.1:{network.login}/dashboard/"
    finally:
        process.terminate()
        process.wait(20)


def test_services(network: Network) -> None:
    """The services, unchanged, create a study, work on it and show it behind a login."""
    port = {"PGHOST": "127.0.0.1", "PGPORT": str(network.postgres)}
    assert healthy("postgres", network, **port)
    assert not healthy("postgres", network, **{**port, "PGPORT": str(network.dashboard)})

    words = (
        "launch",
        "wine",
        "--trials",
        "2",
        "--epochs",
        "2",
        "--replicates",
        "1",
        "--folds",
        "1",
    )
    output = network.start("worker", *words, "--detach").communicate(timeout=120)
    assert "trainstack worker wine" in output[0], output

    worker = network.start("worker")
    seen = set()
    while worker.poll() is None:
        with contextlib.suppress(psutil.Error):
            family = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(True)]
            seen |= {word for process in family for word in process.cmdline()}
        time.sleep(0.1)
    out, err = worker.communicate()
    assert worker.returncode == 0, err
    assert any("workers" in word for word in seen)
    assert not any(PASSWORD in word for word in (*seen, out, err))

    dashboard = network.start("dashboard", *dashboard_words(network))
    try:
        until_healthy("dashboard", network, dashboard)
        if shutil.which("nginx") is None:
            pytest.skip("nginx is not installed: the login was not tried")
        with nginx(network) as address:
            assert status_of(address) == 401
            assert status_of(address, "me:open") == 401
            assert status_of(address, "me:open sesame") == 200
            assert status_of(address.replace("/dashboard/", "/api/studies")) == 401
            assert status_of(address.replace("/dashboard/", "/health")) == 200
    finally:
        dashboard.terminate()
        _, err = dashboard.communicate(timeout=60)
    assert "can delete studies; the dashboard has no login" in err


def dashboard_words(network: Network) -> tuple[str, ...]:
    """Return the dashboard's command with this machine's port in place of the container's."""
    words = [network.here(word) for word in SERVICES["dashboard"]["command"]]
    return tuple(str(network.dashboard) if word == "8080" else word for word in words)
