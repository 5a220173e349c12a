"""The documentation's notebook in a real Jupyter kernel."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from docs.notebook import NOTEBOOK, WALK, notebook
from tests.support.shell import Shell

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


def test_the_notebook_is_the_page() -> None:
    """The committed notebook is the one made from the page."""
    assert NOTEBOOK.read_text("utf-8") == notebook(WALK.read_text("utf-8")), "run `make docs`"
    nbformat.validate(nbformat.read(NOTEBOOK, 4))


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
    assert "<th>2</th>" in texts[0]
    assert "<td>validation loss</td>" in texts[1]
    assert any("<iframe" in text for text in texts)
    assert "did you mean 'trials'?" in texts[-1]
    written = [output.text for cell in cells for output in cell.outputs if "text" in output]
    assert len(written) == 1  # the printed error; nothing else writes to the streams


def test_interrupting_the_kernel_gives_trials_back(
    kernels: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupting a cell raises KeyboardInterrupt in it; the running trial waits again."""
    for name, value in kernels.canned(hold=str(tmp_path / "never")).environment.items():
        monkeypatch.setenv(name, value)
    code = (
        "import trainstack\n"
        "trainstack.launch('wine', study='cell', trials=2, epochs=2, workers=1, space='quick',"
        " yardstick=False)"
    )
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    client = NotebookClient(book, timeout=240, allow_errors=True)

    async def run() -> None:
        async with client.async_setup_kernel():
            cell = asyncio.ensure_future(client.async_execute_cell(book.cells[0], 0))
            while not running(kernels):
                await asyncio.sleep(0.3)
            assert client.km is not None
            await client.km.interrupt_kernel()
            await cell

    asyncio.run(run())
    assert "KeyboardInterrupt" in json.dumps(book.cells[0].outputs)
    assert kernels.json("status", "cell")["counts"]["running"] == 0
    assert kernels.json("status", "cell")["state"] == "searching"


def running(shell: Shell) -> bool:
    """Tell whether a trial of the study runs."""
    done = shell.within("status", "cell", "--json")
    return done.returncode == 0 and json.loads(done.stdout)["counts"]["running"] > 0
