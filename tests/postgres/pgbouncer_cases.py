"""The fleet through PgBouncer with transaction pooling, and over TLS."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, text

from tests.support.studies import agrees, open_client, spec_of, work_off
from trainstack.search.database.connection import engine, parse_url, redacted
from trainstack.search.queue import recovery
from trainstack.search.studies.actions import create_study
from trainstack.spaces.errors import StorageAwayError

pytestmark = pytest.mark.postgres
POOL, SECRET = 3, "s3cr3t-word"


def certificate(folder: Path, name: str) -> Path:
    """Make a self-signed certificate for 127.0.0.1."""
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]
    command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    paths = ("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt"))
    subprocess.run([*command, *paths], check=True, capture_output=True)
    return folder / f"{name}.crt"


@pytest.fixture
def bouncer(url: URL) -> Iterator[tuple[str, Path]]:
    """PgBouncer in front of the database, TLS only; its URL without options, and its folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificate(folder, "ours")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (folder / "users").write_text(f'"postgres" "{SECRET}"\n')
        (folder / "ini").write_text(
            f"""[databases]
* = host={url.query["host"]} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {POOL}
client_tls_sslmode = require
client_tls_key_file = {folder}/ours.key
client_tls_cert_file = {folder}/ours.crt
"""
        )
        as_user = []
        if os.geteuid() == 0:  # refused by it, as by the server
            as_user = ["-u", "pgserver"]
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, "pgserver")
        process = subprocess.Popen(
            ["pgbouncer", *as_user, str(folder / "ini")], stderr=-1, text=True
        )
        try:
            limit = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None, process.communicate()
                    assert time.monotonic() < limit
                    time.sleep(0.05)
            yield f"postgresql://postgres:{SECRET}@127.0.0.1:{port}/{url.database}", folder
        finally:
            process.kill()
            process.communicate()


def test_a_study_through_pgbouncer(bouncer: tuple[str, Path], database: Engine) -> None:
    """More workers than server connections complete a study with transaction pooling.

    The certificate is verified with the authority given in the URL.
    """
    address, folder = bouncer
    url = parse_url(f"{address}?sslmode=verify-full&sslrootcert={folder}/ours.crt")
    here = engine(url)
    with here.connect() as connection:
        assert connection.connection.driver_connection.info.ssl_in_use  # type: ignore[union-attr]
    here.dispose()
    create_study(url, spec_of(trials=12, sampler="tpe", pruner="asha"), first=())
    clients, most, failures = [open_client(url) for _ in range(2 * POOL)], [0], []

    def work(number: int) -> None:
        try:
            work_off(clients[number], 0.1 + number)
            clients[number].leave()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(clients))]
    for thread in threads:
        thread.start()
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    while any(thread.is_alive() for thread in threads):
        with database.connect() as connection:
            others = connection.execute(text(f"{query} AND pid <> pg_backend_pid()")).scalar_one()
        most[0] = max(most[0], others)
        time.sleep(0.05)
    assert failures == []
    assert recovery.requeue_expired(database, clients[0].study_id) == []
    status = agrees(database)
    assert status["concluded"]
    assert status["counts"]["completed"] == 12
    assert 1 <= most[0] <= POOL


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("sslmode=verify-full&sslrootcert={folder}/others.crt", "certificate verify failed"),
        ("sslmode=disable", "SSL"),
    ],
)
def test_options_of_tls_are_honoured(bouncer: tuple[str, Path], options: str, words: str) -> None:
    """A server of another authority, and a connection without TLS, are refused in one line."""
    address, folder = bouncer
    certificate(folder, "others")
    url = f"{address}?{options.format(folder=folder)}"
    with pytest.raises(StorageAwayError, match=words) as refused:
        create_study(url, spec_of())
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_server_without_tls_is_refused() -> None:
    """If TLS is required, no password is sent to a server without it."""
    listener = socket.create_server(("127.0.0.1", 0))
    received: list[bytes] = []

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            received.append(connection.recv(8))
            connection.sendall(b"N")  # PostgreSQL's reply for no TLS
            received.append(connection.recv(1000))

    thread = threading.Thread(target=answer)
    thread.start()
    address = f"postgresql://me:{SECRET}@127.0.0.1:{listener.getsockname()[1]}/x?sslmode=require"
    with pytest.raises(StorageAwayError, match="does not support SSL"):
        create_study(address, spec_of())
    thread.join()
    listener.close()
    assert received == [bytes.fromhex("0000000804d2162f"), b""]
    assert redacted(address).endswith("sslmode=require")
