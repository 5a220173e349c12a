"""The printer of exported code breaks lines, quotes and sorts like a formatter."""

from __future__ import annotations

import ast

import pytest

from trainstack.workers.export.code_style import WIDTH, fit, import_block, quoted, split_imports

LONG = "a_long_name_of_an_argument"


@pytest.mark.parametrize(
    "line",
    [
        f"x = call({', '.join(f'{LONG}_{k}={k}' for k in range(8))})",
        f"    x = [{', '.join(repr(f'column, (the {k}th)') for k in range(20))}]",
        f"x = outer(inner({', '.join(f'{LONG}_{k}' for k in range(9))}), [1, 2], key=(3, 4))",
        f"y = np.unique(frame['{'x' * 50}'].astype(str).to_numpy(object), return_inverse=True)[1]",
    ],
)
def test_long_lines_are_broken_and_mean_the_same(line: str) -> None:
    """Every line fits the width, and the whole parses to the same program."""
    pieces = fit(line)
    assert len(pieces) > 2
    assert max(map(len, pieces)) <= WIDTH
    assert ast.dump(ast.parse("\n".join(pieces).lstrip())) == ast.dump(ast.parse(line.lstrip()))


@pytest.mark.parametrize(
    "line", ["x = 1", f"x = ({LONG * 5})", f"# {'words ' * 30}", f"x = {'a' * 120!r}"]
)
def test_what_cannot_be_broken_is_left_alone(line: str) -> None:
    """Short lines, bracketed groups, comments and long strings are unchanged."""
    assert fit(line) == [line]


def test_texts_get_double_quotes_where_they_may() -> None:
    """A string that contains a double quote or a backslash keeps its quotes."""
    assert quoted("    f('a', x['b'])") == '    f("a", x["b"])'
    assert quoted("""f('say "a"', 'b\\n', "it's")""") == """f('say "a"', 'b\\n', "it's")"""


def test_imports_are_sorted_and_merged() -> None:
    """The standard library comes first, `import` before `from`, one line per module."""
    lines = ["from b import z", "import sys", "x = 1", "", "", "from b import a", "import keras"]
    imports, rest = split_imports(lines)
    assert rest == ["x = 1", ""]
    assert import_block(imports) == ["import sys", "", "import keras", "from b import a, z"]
