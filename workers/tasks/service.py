"""Answer requests for predictions over HTTP: `python -m trainstack.workers.tasks.service`.

What to serve is read from standard input; the address is written to standard output.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainstack.search.data.checks import check_finite
from trainstack.search.data.model_description import ModelDescription
from trainstack.search.data.model_inputs import is_text
from trainstack.search.data.new_values import Unusual, cells_of, inputs_of
from trainstack.search.data.predicted_columns import predicted_columns
from trainstack.search.data.prediction_files import records
from trainstack.search.data.spelling import Spelling
from trainstack.search.json_values import json_safe
from trainstack.search.metrics.conformal import check_coverage
from trainstack.spaces.errors import RequestError
from trainstack.workers.tasks.requests import serve

if TYPE_CHECKING:
    from fastapi import FastAPI

    from trainstack.workers.tasks.predictor import Predictor

# Longest body of a request: a few thousand rows.
MOST_BYTES = 4 * 2**20
# Of a longer one as much is read, and forgotten, before the answer: a client that is still sending
# when the connection is closed does not see the answer.
_MOST_READ_BYTES = 16 * MOST_BYTES
_KEYS = ("rows", "interval")
# Most connections that wait to be accepted.
BACKLOG = 2048


def service(request: Any) -> Iterator[dict[str, Any]]:
    """Serve a model until the process is asked to end; requests that are open are answered first.

    Args:
        request: `{"file", "host", "port"}`; port 0: any free one.

    Yields:
        `{"url"}`, once the address is bound.

    Raises:
        RequestError: The file cannot be read, or the address cannot be bound.
    """
    import uvicorn

    from trainstack.workers.tasks.predictor import Predictor

    host = request["host"]
    app = application(Predictor(Path(request["file"])))
    with _bound(host, request["port"]) as bound:
        shown = f"[{host}]" if ":" in host else host
        yield {"url": f"http://{shown}:{bound.getsockname()[1]}"}
        config = uvicorn.Config(
            app, backlog=BACKLOG, log_level="error", access_log=False, lifespan="off"
        )
        uvicorn.Server(config).run(sockets=[bound])


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        # Clients may connect once they know the address; the server answers when it runs.
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise RequestError(
            f"cannot listen on {host}:{port} ({error.strerror})", hint="give another --port"
        ) from None
    return bound


def application(predictor: Predictor) -> FastAPI:
    """Return the application: `/predict`, `/health`, and `/docs`, which describes both."""
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse
    from starlette.concurrency import run_in_threadpool

    model = predictor.description
    app = FastAPI(title=f"Predictions of {model.study}", version="1", redoc_url=None)

    @app.get("/health")
    def health() -> dict[str, Any]:
        """Tell that the model is loaded, and what it predicts."""
        return {"status": "ok", "study": model.study, "task": model.task, "target": model.target}

    async def predict(request: Request) -> JSONResponse:
        """Predict rows: one object for each, with the columns of `trainstack predict`."""
        body, length = bytearray(), 0
        async for part in request.stream():
            length += len(part)
            if length <= MOST_BYTES:
                body += part
            elif length > _MOST_READ_BYTES:
                break
        if length > MOST_BYTES:
            return _refused(413, f"the body is longer than {MOST_BYTES:,} bytes")
        try:
            asked = _read(body)
        except (ValueError, RecursionError) as error:
            return _refused(400, f"the body is not JSON ({error})")
        try:
            found = await run_in_threadpool(answer, predictor, asked)
        except RequestError as error:
            return _refused(422, str(error))
        return JSONResponse({"predictions": found})

    # Annotations are texts here, which FastAPI could not find in this function.
    predict.__annotations__ = {"request": Request}
    described = {"required": True, "content": {"application/json": {"schema": _schema(model)}}}
    app.post("/predict", openapi_extra={"requestBody": described})(predict)
    return app


def answer(predictor: Predictor, asked: Any) -> list[dict[str, Any]]:
    """Return one object for each row of a request, as `trainstack predict` gives them.

    Args:
        predictor: The model.
        asked: `{"rows": [{column: value}]}`, for a model of arrays `{"rows": [[number]]}`; with
            `interval`, the coverage of `low` and `high`. A missing value is null.

    Raises:
        RequestError: A row does not fit the model.
    """
    model = predictor.description
    if not isinstance(asked, dict) or not isinstance(asked.get("rows"), list):
        raise RequestError("the body has no list of rows", '{"rows": [{column: value}]}')
    if unknown := sorted({*asked} - {*_KEYS}):
        raise RequestError(f"the body has the key '{unknown[0]}'", " or ".join(_KEYS))
    rows, coverage = asked["rows"], asked.get("interval")
    if not rows:
        raise RequestError("rows is empty", "at least one row")
    if coverage is not None and not isinstance(coverage, int | float):
        raise RequestError("interval is no number", "a number above 0 and below 1")
    check_coverage(coverage)
    kind = dict if model.is_table else list
    for number, row in enumerate(rows):
        if not isinstance(row, kind):
            expected = "an object of columns" if model.is_table else "a list of numbers"
            raise RequestError(f"row {number} is of another kind", expected)
    if model.is_table:
        inputs = inputs_of(cells_of(rows, model), model, "row {}".format, Unusual())
        outputs = predictor.of_columns(inputs)
    else:
        outputs = predictor.of_rows(_array(rows, model))
    # The answer of a number near the end of float32 may be infinite, which JSON has not.
    return json_safe(records(predicted_columns(outputs, model, coverage)))


def _array(rows: list[Any], model: ModelDescription) -> np.ndarray:
    expected = f"lists of numbers of shape {model.shape}"
    try:
        x = np.array(rows)
    except ValueError:
        raise RequestError("rows are of several lengths", expected) from None
    if x.shape[1:] != model.shape or x.dtype.kind not in "biuf":
        raise RequestError(f"rows hold {x.dtype} of shape {x.shape[1:]}", expected)
    check_finite(x, "rows")
    return x


def _read(body: bytes | bytearray) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"it holds {constant}; a missing value is null")

    found = json.loads(body, parse_constant=refuse)
    if b"\\ud" in body.lower():
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("it holds half of a surrogate pair, which is no character") from None
    return found


def _refused(status: int, message: str) -> Any:
    from fastapi.responses import JSONResponse

    return JSONResponse({"detail": " ".join(message.split())}, status)


def _schema(model: ModelDescription) -> dict[str, Any]:
    """Return the JSON schema of a request."""
    row: dict[str, Any] = {"type": "array", "items": {}}
    if model.is_table:
        kinds = {name: _kind(model, name) for name in model.needed}
        columns = {name: {"type": [kind, "null"]} for name, kind in kinds.items()}
        row = {"type": "object", "properties": columns, "required": list(columns)}
    fields = {
        "rows": {"type": "array", "items": row, "minItems": 1},
        "interval": {"type": "number", "description": "Coverage of low and high, such as 0.9."},
    }
    return {"type": "object", "properties": fields, "required": ["rows"]}


def _kind(model: ModelDescription, name: str) -> str:
    """Return JSON's type of a table's column."""
    how = model.spellings.get(name, Spelling("number"))
    if name in model.text or is_text(how):
        return "string"
    if how.kind == "truth":
        return "boolean"
    return "number" if replace(how, missing=()) == Spelling("number") else "string"


if __name__ == "__main__":
    raise SystemExit(serve(service))
