"""Formatting of generated Python: line width, quotes, order of imports."""

from __future__ import annotations

import io
import itertools
import re
import sys
import tokenize
from collections.abc import Iterable, Sequence

WIDTH = 100


def fit(line: str) -> list[str]:
    """Break a line that is too long at its outermost bracket, one element per line.

    >>> fit("short(1, 2)")
    ['short(1, 2)']
    """
    cut = _outermost(line) if len(line) > WIDTH else None
    if cut is None:
        return [line]
    opened, closed, commas = cut
    indent = line[: len(line) - len(line.lstrip())] + "    "
    edges = [opened, *commas, closed]
    elements = [line[a + 1 : b].strip() for a, b in itertools.pairwise(edges)]
    lines = [line[: opened + 1]]
    for element in filter(None, elements):
        *first, last = fit(f"{indent}{element}")
        lines += [*first, f"{last},"]
    return [*lines, indent[4:] + line[closed:]]


def _outermost(line: str) -> tuple[int, int, list[int]] | None:
    """Return the positions of the first call's or list's brackets and commas.

    None if there is none, or if anything but a subscript or a colon follows it.
    """
    opened, depth, commas = -1, 0, []
    for place, text in _operators(line):
        if text in "([{":
            if opened < 0:
                # A trailing comma would change the meaning of a tuple or a group.
                if text == "(" and not re.search(r"[\w\])]$", line[:place]):
                    return None
                opened = place
            depth += 1
        elif text in ")]}":
            depth -= 1
            if depth == 0:
                behind = line[place + 1 :]
                return (opened, place, commas) if re.fullmatch(r"(\[\w+\])?:?", behind) else None
        elif text == "," and depth == 1:
            commas.append(place)
    return None


def _operators(line: str) -> list[tuple[int, str]]:
    """Return every operator of a line with its position, ignoring string literals."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(line.lstrip()).readline))
    except (tokenize.TokenError, SyntaxError):
        return []
    indent = len(line) - len(line.lstrip())
    return [(indent + t.start[1], t.string) for t in tokens if t.type == tokenize.OP]


def quoted(line: str) -> str:
    """Return a line with its strings in double quotes where that needs no escape."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(line.strip()).readline))
    except (tokenize.TokenError, SyntaxError):
        return line
    indent = len(line) - len(line.lstrip())
    for token in reversed(tokens):
        text = token.string
        if token.type == tokenize.STRING and text[0] == "'" and not re.search(r'["\\]', text):
            start, end = indent + token.start[1], indent + token.end[1]
            line = f'{line[:start]}"{text[1:-1]}"{line[end:]}'
    return line


def split_imports(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the imports and the rest, without leading or repeated blank lines."""
    imports, rest = [], []
    for line in lines:
        if line.startswith(("import ", "from ")):
            imports.append(line)
        elif line.strip() or (rest and rest[-1].strip()):
            rest.append(line)
    return imports, rest


def merged(imports: Iterable[str]) -> list[str]:
    """Merge the imports from each module into one."""
    names: dict[str, set[str]] = {}
    plain = []
    for line in imports:
        if line.startswith("from "):
            module, found = line.removeprefix("from ").split(" import ")
            names.setdefault(module, set()).update(found.split(", "))
        else:
            plain.append(line)
    return [*{*plain}, *(f"from {m} import {', '.join(sorted(n))}" for m, n in names.items())]


def import_block(imports: Iterable[str]) -> list[str]:
    """Sort imports: standard library first, then others; `import` before `from`."""
    groups: tuple[list[str], list[str]] = [], []
    for line in sorted(merged(imports), key=lambda line: (line.startswith("from "), line.lower())):
        package = re.split(r"[ .]", line)[1]
        groups[package not in sys.stdlib_module_names].append(line)
    return [*groups[0], *([""] if all(groups) else []), *groups[1]]


def call(name: str, arguments: Sequence[str]) -> str:
    """Return the source text of a call."""
    return f"{name}({', '.join(arguments)})"
