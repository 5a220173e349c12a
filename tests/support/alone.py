"""Exported programs in a process without this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

# Runs scripts in which this package cannot be imported, as if not installed.
ALONE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "trainstack":
            raise ModuleNotFoundError(f"{name} is not installed")

sys.meta_path.insert(0, Absent())
import contextlib, io, json, runpy

outputs = []
for words in json.loads(sys.argv[1]):
    sys.argv = words
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            runpy.run_path(words[0], run_name="__main__")
        except SystemExit as ended:
            if ended.code:
                raise
    outputs.append(output.getvalue())
json.dump(outputs, sys.stdout)
"""


def each_alone(folder: Path, *commands: tuple[object, ...]) -> list[str]:
    """Run Python files with their arguments one after the other in one such process."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    command = [sys.executable, "-I", "-c", ALONE, words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
