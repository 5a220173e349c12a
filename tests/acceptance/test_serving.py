"""Predictions over HTTP: those of `predict`, for many clients; bad requests get one line."""

from __future__ import annotations

import io
import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd
import pytest

from tests.support.exported_models import exported
from tests.support.shell import Shell, refused
from trainstack.search.cli import serve
from trainstack.spaces.errors import RequestError
from trainstack.workers.tasks.predictor import Predictor
from trainstack.workers.tasks.service import answer
from trainstack.workers.tasks.service import service as service_of

pytestmark = [pytest.mark.acceptance, pytest.mark.keras]
ROWS, CLIENTS = 200, 50


def table() -> pd.DataFrame:
    """Numbers and categories with gaps, dates, percentages, truth values; a quantity to predict."""
    rng = np.random.default_rng(0)
    count = np.arange(ROWS)
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(count % 40, "D")
    return pd.DataFrame(
        {
            "x": np.where(count % 9 == 0, np.nan, rng.normal(size=ROWS).round(3)),
            "share": [f"{k % 40}%" for k in count],
            "when": when.strftime("%Y-%m-%d"),
            "town": [["Ede", "Köln", None][k % 3] for k in count],
            "open": rng.random(ROWS) < 0.5,
            "price": rng.uniform(1, 9, ROWS).round(2),
        }
    )


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON's objects."""
    return json.loads(frame.to_json(orient="records"))


class Service:
    """A served model.

    Attributes:
        url: Its address.
        expected: What `predict` gives for the table.
    """

    def __init__(self, url: str, expected: pd.DataFrame) -> None:
        self.url, self.expected = url, expected

    def post(self, body: Any) -> tuple[int, Any]:
        """Send a body, as JSON unless it is bytes; return the status and the answer."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with urlopen(Request(f"{self.url}/predict", sent), timeout=60) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)

    def get(self, path: str) -> bytes:
        """Return a page."""
        with urlopen(f"{self.url}{path}", timeout=60) as answer:
            return answer.read()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported file of a model of the table, which lies beside it."""
    folder = tmp_path_factory.mktemp("served")
    table().to_csv(folder / "train.csv", index=False)
    return exported(folder, str(folder / "train.csv"), "price")


@pytest.fixture(scope="module")
def service(model: Path, shell: Shell) -> Iterator[Service]:
    """The model, served by the command until the tests have ended."""
    done = shell.within("predict", model, model.with_name("train.csv"), "--interval", "0.8")
    expected = pd.read_csv(io.StringIO(done.stdout))
    process = shell.start("serve", model, "--port", "0")
    assert process.stdout is not None
    yield Service(process.stdout.readline().strip(), expected)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "trainstack: the server has ended\n"


def test_rows_get_the_answers_of_predict(service: Service) -> None:
    """All rows at once, with gaps and dates, get what `predict` writes for the file."""
    status, found = service.post({"rows": rows(table()), "interval": 0.8})
    assert status == 200
    pd.testing.assert_frame_equal(pd.DataFrame(found["predictions"]), service.expected)


def test_the_address_takes_connections_when_it_is_known(model: Path) -> None:
    """A client that reads the address may connect before the server has started to answer."""
    starting = service_of({"file": str(model), "host": "127.0.0.1", "port": 0})
    port = int(next(starting)["url"].rpartition(":")[2])
    socket.create_connection(("127.0.0.1", port), timeout=10).close()
    starting.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)


def test_many_clients_at_once_get_right_answers(service: Service) -> None:
    """Fifty clients that send different rows over and over each get the answers for theirs."""
    every = rows(table())

    def client(number: int) -> float:
        worst = 0.0
        for turn in range(4):
            first = (number * 7 + turn * 31) % (ROWS - 5)
            status, found = service.post({"rows": every[first : first + 1 + number % 5]})
            assert status == 200
            known = service.expected["prediction"][first:].tolist()
            answers = [row["prediction"] for row in found["predictions"]]
            assert len(answers) == 1 + number % 5
            worst = max(worst, *(abs(a - b) for a, b in zip(answers, known, strict=False)))
        return worst

    with ThreadPoolExecutor(CLIENTS) as clients:
        assert max(clients.map(client, range(CLIENTS))) < 1e-5


def test_pages(service: Service) -> None:
    """`/health` tells what is served, and `/docs` describes a row's columns."""
    assert json.loads(service.get("/health")) == {
        "status": "ok",
        "study": "made up",
        "task": "regression",
        "target": "price",
    }
    assert b"swagger" in service.get("/docs").lower()
    described = json.loads(service.get("/openapi.json"))["paths"]["/predict"]["post"]
    body = described["requestBody"]["content"]["application/json"]["schema"]
    row = body["properties"]["rows"]["items"]
    kinds = {name: column["type"][0] for name, column in row["properties"].items()}
    texts = dict.fromkeys(("share", "when", "town"), "string")
    assert kinds == {"x": "number", "open": "boolean", **texts}


ROW = {"x": 1, "share": "3%", "when": "2024-01-05", "town": "Ede", "open": True}
# Body → status and words of the line.
BAD: dict[str, tuple[Any, int, str]] = {
    "not JSON": (b"rows=1", 400, "not JSON"),
    "not text": (b"\xff\xfe\x00", 400, "not JSON"),
    "empty": (b"", 400, "not JSON"),
    "deep": (b"[" * 100_000, 400, "not JSON"),
    "NaN": (json.dumps({"rows": [{**ROW, "x": float("nan")}]}).encode(), 400, "it holds NaN"),
    "Infinity": (b'{"rows": [{"x": Infinity}]}', 400, "it holds Infinity"),
    "half a character": (b'{"rows": [{"town": "\\ud800"}]}', 400, "half of a surrogate pair"),
    "huge": (b'{"rows": "' + b"x" * 10_000_000 + b'"}', 413, "longer than 4,194,304 bytes"),
    "no rows": ({}, 422, "no list of rows"),
    "a list": ([ROW], 422, "no list of rows"),
    "none": ({"rows": []}, 422, "rows is empty"),
    "other keys": ({"rows": [ROW], "columns": 1}, 422, "the key 'columns'"),
    "no object": ({"rows": [ROW, 5]}, 422, "row 1 is of another kind"),
    "column": ({"rows": [ROW, {"x": 1}]}, 422, "row 1 lacks the column 'share'"),
    "kind": ({"rows": [ROW, {**ROW, "x": "blue"}]}, 422, "row 1, column 'x': 'blue' is no number"),
    "object": ({"rows": [{**ROW, "town": {"a": 1}}]}, 422, "column 'town' holds a list"),
    "date": ({"rows": [{**ROW, "when": 7}]}, 422, "row 0, column 'when'"),
    "neither true nor false": ({"rows": [{**ROW, "open": 2}]}, 422, "neither true nor false"),
    "beyond": ({"rows": [{**ROW, "x": 1e300}]}, 422, "beyond float32"),
    "half": (b'{"rows": [{"x": 1, "town": "\\ud800"}]}', 400, "half of a surrogate pair"),
    "far beyond": (json.dumps({"rows": [{**ROW, "x": 10**400}]}).encode(), 422, "row 0, column"),
    "coverage": ({"rows": [ROW], "interval": 90}, 422, "--interval 90"),
    "word": ({"rows": [ROW], "interval": "wide"}, 422, "interval is no number"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_request_is_one_line(fault: str, service: Service) -> None:
    """The status is that of the fault, the answer has one line, and the service goes on."""
    body, status, words = BAD[fault]
    found = service.post(body)
    assert found[0] == status
    assert [*found[1]] == ["detail"]
    assert words in found[1]["detail"]
    assert "\n" not in found[1]["detail"]
    assert service.post({"rows": [ROW]})[0] == 200


def test_numbers_beyond_float32(tmp_path: Path) -> None:
    """They are refused in arrays, as in training; an answer beyond it is null, as in `predict`."""
    predictor = Predictor(exported(tmp_path, "diabetes", None))
    rows = [[0.0] * 10, [3e38] * 10]
    known, beyond = (row["prediction"] for row in answer(predictor, {"rows": rows}))
    assert isinstance(known, float)
    assert beyond is None
    with pytest.raises(RequestError, match=r"rows holds 10 value.* beyond float32 .*row 0"):
        answer(predictor, {"rows": [[1e39] * 10]})


@pytest.mark.usefixtures("requests_here")
def test_a_port_in_use_is_refused(model: Path, shell: Shell) -> None:
    """The address is tried before anything is printed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = shell.within("serve", model, "--port", port)
    assert f"cannot listen on 127.0.0.1:{port}" in refused(done, 2)


def test_without_the_libraries_the_verb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line has the command that installs them."""
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"pip install 'trainstack\[serve\]'"):
        serve.check_installed()


@pytest.mark.usefixtures("requests_here")
def test_other_files_are_refused(shell: Shell, tmp_path: Path) -> None:
    """A file that is no model, and one that is not there, are one line."""
    (tmp_path / "m.keras").write_text("no archive")
    assert "no model" in refused(shell.within("serve", tmp_path / "m.keras", "--port", "0"), 2)
    assert "no file" in refused(shell.within("serve", tmp_path / "none.keras"), 2)
