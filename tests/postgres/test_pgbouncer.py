"""PgBouncer and TLS, in a process without TensorFlow, as every process of ours that has a database.

Where TensorFlow is loaded (other tests do so), a TLS handshake of psycopg2's crashes the process:
each brings an OpenSSL of its own. No supervisor and no verb imports TensorFlow.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(
        shutil.which("pgbouncer") is None or shutil.which("openssl") is None,
        reason="needs pgbouncer and openssl",
    ),
]
CASES = Path(__file__).with_name("pgbouncer_cases.py")


def test_pgbouncer_and_tls() -> None:
    """All cases hold in a process of their own."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CASES)]
    done = subprocess.run(
        command, cwd=CASES.parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout
