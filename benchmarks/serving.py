"""The service of `trainstack serve` under many clients at once.

    python -m benchmarks.serving
    python -m benchmarks.serving 50 60

Exports a network of 128 hidden units for a table of 14 columns, serves it by the command on this
machine, and lets a number of clients (50 by default) ask for one row each, over and over, for a
number of seconds (60). Each client is a thread with a connection of its own and waits for its
answer; all are in this process, which shares the cores with the server. Every answer is compared
with what `trainstack predict` gives for the row.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from benchmarks.predicting import COMMAND, exported_model, table
from benchmarks.table import machine, versions

CLIENTS, SECONDS, ROWS = 50, 60.0, 500
# Answers are the same network's in other batches.
CLOSE = 1e-5


@dataclass(frozen=True)
class Asked:
    """What a client found.

    Attributes:
        seconds: Time of each answered request.
        errors: Number of requests without an answer of status 200.
        different: Number of answers that are not those of `predict`.
    """

    seconds: list[float]
    errors: int
    different: int


def client(
    address: str, bodies: Sequence[bytes], known: Sequence[float], first: int, until: float
) -> Asked:
    """Ask for one row after the other until a time."""
    seconds, errors, different = [], 0, 0
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    row = first
    while (began := time.perf_counter()) < until:
        try:
            connection.request("POST", "/predict", bodies[row])
            answer = connection.getresponse()
            content = answer.read()
            ended = time.perf_counter()
            if answer.status != 200:
                errors += 1
                continue
            seconds.append(ended - began)
            found = json.loads(content)["predictions"][0]["prediction"]
            different += abs(found - known[row]) > CLOSE * max(1.0, abs(known[row]))
            row = (row + 1) % len(bodies)
        except OSError:
            errors += 1
            connection.close()
    connection.close()
    return Asked(seconds, errors, different)


def main(clients: int, seconds: float) -> None:
    """Serve, ask and print a table."""
    print(f"{machine()}; {versions()}; load before: {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, asked = exported_model(folder), table(ROWS)
        asked.to_csv(folder / "asked.csv", index=False)
        words = [COMMAND, "predict", str(model), str(folder / "asked.csv")]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        known = pd.read_csv(io.StringIO(done.stdout))["prediction"].tolist()
        rows = json.loads(asked.to_json(orient="records"))
        bodies = [json.dumps({"rows": [row]}).encode() for row in rows]
        words = [COMMAND, "serve", str(model), "--port", "0"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            client(address, bodies, known, 0, time.perf_counter() + 1)  # warms it up
            began = time.perf_counter()
            with ThreadPoolExecutor(clients) as pool:
                running = [
                    pool.submit(client, address, bodies, known, k % ROWS, began + seconds)
                    for k in range(clients)
                ]
                found = [each.result() for each in running]
            took = time.perf_counter() - began
            server.send_signal(signal.SIGTERM)
    times = 1000 * np.concatenate([each.seconds for each in found])
    middle, late, last = np.quantile(times, (0.5, 0.99, 1.0))
    print("| clients | requests per second | median | p99 | slowest | errors | other answers |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    print(
        f"| {clients} | {len(times) / took:,.0f} | {middle:.0f} ms | {late:.0f} ms | {last:.0f} ms "
        f"| {sum(each.errors for each in found)} | {sum(each.different for each in found)} |"
    )


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else CLIENTS,
        float(sys.argv[2]) if len(sys.argv) > 2 else SECONDS,
    )
