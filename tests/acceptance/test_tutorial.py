"""The tutorial and the how-tos: their terminal sessions are run as shown."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from docs.documents import DOCUMENTS
from tests.support.documents import (
    ROOT,
    Example,
    examples,
    first_program,
    our_commands,
    program,
    shell_lines,
)
from tests.support.json_shapes import problems
from tests.support.shell import Shell
from trainstack.search.cli.main import run

# The tutorial is one long setup; each of its commands has its own limit.
pytestmark = [pytest.mark.acceptance, pytest.mark.keras, pytest.mark.timeout(900)]

TUTORIAL = ROOT / "docs" / "tutorial.md"
HOW_TOS = sorted((ROOT / "docs" / "how-to").glob("*.md"))
# The output of these depends on the workers' speed, so only its presence is checked.
VARYING = ("status", "trials", "workers", "logs", "worker", "track")


@dataclass(frozen=True)
class Reader:
    """A folder and a shell in which pages are followed.

    Attributes:
        folder: Where files are made.
        shell: The home and the environment.
        ended: Results of the tutorial's commands, in order.
    """

    folder: Path
    shell: Shell
    ended: list[subprocess.CompletedProcess[str]]

    def type(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command with this environment's programs; both of its streams are one, as seen."""
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env={**self.shell.environment, "PATH": programs},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=240,
        )


@dataclass(frozen=True)
class Here:
    """The reader's folder and home for commands run in this process, which is faster.

    Attributes:
        reader: Who runs what needs a shell.
        capture: What the process says.
    """

    reader: Reader
    capture: pytest.CaptureFixture[str]

    def run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        """Run `trainstack ARGV`."""
        code = run(argv)
        output = self.capture.readouterr()
        return subprocess.CompletedProcess(argv, code, output.out, output.err)

    def type(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as `Reader.type` does."""
        if not command.startswith("trainstack ") or re.search(r" [|>] ", command):
            return self.reader.type(command)
        done = self.run(shlex.split(command)[1:])
        return subprocess.CompletedProcess(command, done.returncode, done.stderr + done.stdout)

    def json(self, words: str) -> Any:
        """Return the document printed by a verb."""
        done = self.run([*words.split(), "--json"])
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def as_shown(example: Example, done: subprocess.CompletedProcess[str]) -> None:
    """Check that a command ended as its page shows: successfully, or with the shown error."""
    shown = "\n".join(example.output)
    refused = shown.startswith("trainstack: ")
    assert (done.returncode != 0) == refused, (example, done.stdout)
    if refused or (shown and not varies(example.command)):
        assert done.stdout.strip() == shown
    elif shown:
        assert done.stdout, example


def varies(command: str) -> bool:
    """Tell whether a command prints figures that change each time, apart from those picked out."""
    program, *words = command.split()
    if "| python" in command:
        return False
    trains = words[0] == "launch" and "--detach" not in words
    return program != "trainstack" or words[0] in VARYING or trains


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader who followed the whole tutorial in a separate home; pages launch `digits`."""
    from trainstack.search.database import embedded_postgres

    shell = Shell(tmp_path_factory.mktemp("readers-home"))
    embedded_postgres.hold(shell.home / "postgres")
    here = Reader(tmp_path_factory.mktemp("reader"), shell, [])
    for example in examples(TUTORIAL.read_text("utf-8")):
        done = here.type(example.command)
        as_shown(example, done)
        here.ended.append(done)
    yield here
    embedded_postgres.release(shell.home / "postgres")


@pytest.fixture
def here(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Here:
    """The same reader, with commands run in this process; their workers are real."""
    monkeypatch.chdir(reader.folder)
    for name, value in reader.shell.environment.items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    return Here(reader, capsys)


def test_the_tutorial_can_be_followed(reader: Reader) -> None:
    """Every command runs as shown, and the exported model classifies the table's rows."""
    assert any("\nUse " in done.stdout and "\nCaveats:" in done.stdout for done in reader.ended)
    lines = (reader.folder / "predicted.csv").read_text("utf-8").splitlines()
    assert lines[0] == "diagnosis,p(benign),p(malignant)"
    assert len(lines) == 1 + 569
    table = (reader.folder / "tumours.csv").read_text("utf-8").splitlines()[1:]
    pairs = zip(table, lines[1:], strict=True)
    right = sum(row.endswith("," + predicted.partition(",")[0]) for row, predicted in pairs)
    assert right > 0.9 * 569


def test_a_second_worker_helped(reader: Reader) -> None:
    """The worker of the tutorial's second study left after the one trial requested."""
    counts = reader.shell.json("status", "tumours-again")["counts"]
    ended = ("completed", "pruned", "diverged", "infeasible")
    assert sum(counts[outcome] for outcome in ended) == 1


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_a_how_to_can_be_followed(page: Path, here: Here) -> None:
    """After the tutorial, a how-to's sessions run as shown, and its launches can be created."""
    text = page.read_text("utf-8")
    if saved := re.search(r"save it as `(\w+\.py)`", text):
        (here.reader.folder / saved[1]).write_text(first_program(text[saved.end() :]), "utf-8")
    for example in examples(text):
        if "range-test" not in example.command:  # trains for long; tested separately
            as_shown(example, here.type(example.command))
    for argv in launches(text):
        done = here.run(argv)
        assert done.returncode == 0, done.stderr


def test_the_model_can_be_used_from_python(reader: Reader) -> None:
    """The programs of the export page run: they predict, and show what LiteRT takes."""
    page = ROOT / "docs" / "how-to" / "export-and-deploy.md"
    reader.type("trainstack export tumours --format keras -o deployed/model.keras")
    (reader.folder / "use.py").write_text(program(page.read_text("utf-8")), "utf-8")
    done = reader.type("python use.py")
    assert done.returncode == 0, done.stdout
    assert "p(malignant)" in done.stdout
    assert done.stdout.endswith("(3, 30)\n")


def launches(text: str) -> Iterator[list[str]]:
    """Yield the launches of a page's scripts, created but not trained.

    Commands that train without creating a study, or need a cluster, have their own tests.
    """
    typed = [argv for example in examples(text) for argv in our_commands([example.command])]
    for argv in our_commands(shell_lines(text)):
        other = {"--range-test", "--preview", "--on", "--track"}.intersection(argv)
        if argv[:1] == ["launch"] and argv not in typed and not other:
            yield [*argv, *(() if "--detach" in argv else ("--detach",))]


# Verb → commands whose documents are checked; that of `claims` is checked with its own tests.
READING = {
    "status": ("status tumours",),
    "watch": ("watch tumours",),
    "trials": ("trials tumours", "trials tumours --confirmation"),
    "recommend": ("recommend tumours",),
    "data": ("data tumours.csv --target diagnosis", "data wine"),
    "recommend --across": ("recommend tumours tumours-again --across",),
    "workers": ("workers tumours",),
    "logs": ("logs tumours 0",),
    "report": ("report tumours -o report",),
    "predict": ("predict tumours tumours.csv --evaluate", "predict tumours tumours.csv -o p.csv"),
    "space list": ("space list",),
    "doctor": ("doctor",),
}


@pytest.mark.usefixtures("requests_here")
@pytest.mark.parametrize("verb", READING)
def test_a_document_matches_the_table(verb: str, here: Here) -> None:
    """Real output and the table of documents have the same fields."""
    table = next(document for document in DOCUMENTS if verb in document.verbs)
    for words in READING[verb]:
        assert problems(table, here.json(words)) == []


@pytest.mark.parametrize("page", [TUTORIAL, *HOW_TOS], ids=lambda page: page.stem)
def test_sessions_run_and_scripts_do_not(page: Path) -> None:
    """A session contains no address or folder of its own, so that every reader can run it."""
    for example in examples(page.read_text("utf-8")):
        assert not re.search(r"postgresql://|/home/|…", example.command)
        assert shlex.split(example.command)
