"""PgBouncer and TLS, in a process without TensorFlow, like every process of ours with a database.

In a process with TensorFlow (as in other tests), a TLS handshake of psycopg2 crashes, because each
includes its own OpenSSL. No supervisor and no verb imports TensorFlow.
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
    """All cases pass in a separate process."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CASES)]
    done = subprocess.run(
        command, cwd=CASES.parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout
