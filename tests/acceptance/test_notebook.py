"""The documentation's notebook in a real Jupyter kernel."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from docs.notebook import NOTEBOOK, WALK, notebook
from tests.support.shell import Shell, adds_up

pytestmark = [pytest.mark.acceptance, pytest.mark.keras, pytest.mark.timeout(900)]


def shown(cell: Any) -> str:
    """Return everything that a cell shows, as one text."""
    parts = []
    for output in cell.outputs:
        data = output.get("data", {})
        parts += [output.get("text", ""), *data.values()]
    return "\n".join(parts)


@pytest.fixture
def kernels(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """Kernels that this process starts use the shell's home."""
    for name, value in shell.environment.items():
        monkeypatch.setenv(name, value)
    return shell


@pytest.fixture
def one_core() -> Iterator[None]:
    """Kernels that this process starts have one core, so that a launch there has one worker."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(ours)})
    yield
    os.sched_setaffinity(0, ours)


def test_the_notebook_is_the_page() -> None:
    """The committed notebook is the one made from the page."""
    assert NOTEBOOK.read_text("utf-8") == notebook(WALK.read_text("utf-8")), "run `make docs`"
    nbformat.validate(nbformat.read(NOTEBOOK, 4))


@pytest.mark.usefixtures("one_core")
def test_the_notebook_runs(kernels: Shell, tmp_path: Path) -> None:
    """From a frame to probabilities in six lines; each cell shows what the page says."""
    book = nbformat.read(NOTEBOOK, 4)
    NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    first = [line for line in cells[0].source.splitlines() if line.strip()]
    assert len(first) <= 6
    texts = [shown(cell) for cell in cells]
    # One view, redrawn in place, and the table of probabilities.
    views = [output for output in cells[0].outputs if output.output_type == "display_data"]
    assert len(views) == 1
    assert "concluded" in shown(cells[0])
    assert "#000000" not in shown(cells[0])  # it is read on dark pages, too
    assert "<th>2</th>" in texts[0]
    assert "<td>validation loss</td>" in texts[1]
    assert any("<iframe" in text and "plotly" in text for text in texts)
    assert "did you mean 'trials'?" in texts[-1]
    written = [output.text for cell in cells for output in cell.outputs if "text" in output]
    assert len(written) == 1  # the printed error; nothing else writes to the streams


def test_interrupting_the_kernel_gives_trials_back(
    kernels: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupting a cell raises KeyboardInterrupt in it; the running trial waits again."""
    canned = held(kernels, tmp_path / "never", monkeypatch)

    async def interrupt(client: NotebookClient) -> None:
        await until(lambda: running(canned, "cell") == 1)
        assert client.km is not None
        await client.km.interrupt_kernel()

    cell = executed(launching("cell", trials=2), interrupt)
    assert "KeyboardInterrupt" in json.dumps(cell.outputs)
    assert canned.json("status", "cell")["counts"]["running"] == 0
    assert canned.json("status", "cell")["state"] == "searching"


def test_a_notebook_beside_a_command_line(
    kernels: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell and a command that launch the same study share its budget, to the trial."""
    canned = held(kernels, tmp_path / "go", monkeypatch)
    words = "--trials=6 --epochs=2 --workers=1 --space=quick --no-yardstick --replicates=1"
    command = canned.start("launch", "wine", "--study", "beside", "--folds=1", *words.split())

    async def go(client: NotebookClient) -> None:
        await until(lambda: running(canned, "beside") == 2)  # one trial in either's worker
        (tmp_path / "go").touch()

    cell = executed(launching("beside", trials=6), go)
    _, errors = command.communicate(timeout=240)
    assert command.returncode == 0, errors
    assert "Traceback" not in json.dumps(cell.outputs)
    adds_up(canned.json("status", "beside"), over=True)
    trials = canned.json("trials", "beside")
    assert [row["number"] for row in trials] == list(range(6))
    assert len({row["worker"] for row in trials}) == 2


def held(shell: Shell, gate: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Let this process's kernels use trainers that wait for a file; return a shell that does."""
    canned = shell.canned(hold=str(gate))
    for name, value in canned.environment.items():
        monkeypatch.setenv(name, value)
    return canned


def launching(study: str, trials: int) -> str:
    """Return the code that launches a study."""
    return (
        f"import trainstack\ntrainstack.launch('wine', study='{study}', trials={trials}, epochs=2,"
        " workers=1, folds=1, replicates=1, space='quick', yardstick=False)"
    )


def executed(code: str, meanwhile: Callable[[NotebookClient], Awaitable[None]]) -> Any:
    """Execute a cell in a kernel, and do something meanwhile; return the cell."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    client = NotebookClient(book, timeout=240, allow_errors=True)

    async def run() -> None:
        async with client.async_setup_kernel():
            cell = asyncio.ensure_future(client.async_execute_cell(book.cells[0], 0))
            await meanwhile(client)
            await cell

    asyncio.run(run())
    return book.cells[0]


async def until(true: Callable[[], bool], seconds: float = 240) -> None:
    """Wait for an event of another process."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.3)


def running(shell: Shell, study: str) -> int:
    """Return how many trials of a study run; 0 before it exists."""
    done = shell.within("status", study, "--json")
    return json.loads(done.stdout)["counts"]["running"] if done.returncode == 0 else 0
