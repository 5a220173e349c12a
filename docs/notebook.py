"""The notebook of the documentation, made from its page: one source for both."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

WALK = Path(__file__).parent / "from-python.md"
NOTEBOOK = WALK.with_suffix(".ipynb")
_CODE = re.compile(r"^```python\n(.*?)^```$\n?", re.M | re.S)


def notebook(text: str) -> str:
    """Return a page as a notebook: its Python is code to run, the rest is text."""
    cells = []
    for k, part in enumerate(_CODE.split(text)):
        if part.strip():
            cells.append(_cell(len(cells), "code" if k % 2 else "markdown", part.strip()))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    document = {"cells": cells, "metadata": {"kernelspec": kernel}}
    document |= {"nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, kind: str, text: str) -> dict[str, Any]:
    run = {"execution_count": None, "outputs": []} if kind == "code" else {}
    lines = text.splitlines(keepends=True)
    return {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": lines, **run}
