"""Workers' modules as child processes of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainstack.search.cli.worker_request import answers
from trainstack.spaces.errors import RequestError, TrainstackError


def child(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> str:
    """Write a module that a child can run; returns its name."""
    (folder / "made_up_child.py").write_text("import json, os, sys, time\n" + program, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return "made_up_child"


def test_answers_come_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer is delivered before the next is computed, and closing ends the child."""
    name = child(
        tmp_path,
        monkeypatch,
        """
asked = json.load(sys.stdin)
print(json.dumps([asked, os.getpid()]), flush=True)
time.sleep(600)
""",
    )
    replies = answers(name, {"question": "ä"})
    asked, process = next(replies)
    assert asked == {"question": "ä"}
    replies.close()
    import psutil

    assert not psutil.pid_exists(process)


@pytest.mark.parametrize(
    ("program", "kind", "message"),
    [
        (
            "print('noise', file=sys.stderr)\n"
            "print('trainstack: no such data', file=sys.stderr)\n"
            "print('more noise', file=sys.stderr)\nsys.exit(2)",
            RequestError,
            "no such data",
        ),
        ("raise ValueError('our bug')", TrainstackError, "ValueError: our bug"),
        ("os.kill(os.getpid(), 9)", TrainstackError, "made_up_child was ended by signal 9"),
        ("sys.exit(7)", TrainstackError, "made_up_child ended with 7"),
    ],
    ids=["refused", "broke", "killed", "silent"],
)
def test_how_a_child_ended_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, kind: type, message: str
) -> None:
    """A refusal keeps its message and exit code; other errors give the last line of the output."""
    with pytest.raises(TrainstackError) as failed:
        list(answers(child(tmp_path, monkeypatch, program), {"much": "x" * 200_000}))
    assert type(failed.value) is kind
    assert str(failed.value) == message
