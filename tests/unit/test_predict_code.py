"""The prediction script as text: its values, its functions, its format."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trainstack.search.data.spelling import Spelling
from trainstack.workers.export import predict_script as exported

pytestmark = pytest.mark.process


def table(**changed: Any) -> SimpleNamespace:
    """What the script takes of a table with a number, a percentage and a category."""
    values = {
        "task": "classification",
        "target": "kind",
        "targets": (),
        "labels": (),
        "classes": ("flat", "house"),
        "numeric": ("rooms", "share"),
        "text": ("colour",),
        "has_missing": (),
        "spellings": {"share": Spelling("number", percent=True)},
        "origins": {},
    }
    return SimpleNamespace(**{**values, **changed})


def predict_script(dataset: SimpleNamespace) -> str:
    """Return the script of a table whose categories are `red` and `missing`."""
    levels = dict.fromkeys(dataset.text, ("(missing)", "red"))
    return exported.predict_script(dataset, levels)


def constants(text: str) -> dict[str, Any]:
    """Return the values of a script's plain constants by name."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Call | ast.Attribute):
            found[ast.unparse(node.targets[0])] = node.value
    return {name: ast.literal_eval(value) for name, value in found.items() if name.isupper()}


@pytest.mark.parametrize("name", ["plain", "{{ 7 * 7 }}", "{% x %}", 'it\'s "so"', "a\\b\n", "ü€"])
def test_values_are_the_tables_whatever_they_contain(name: str) -> None:
    """Names that look like a template's or need escapes arrive unchanged."""
    dataset = table(target=name, numeric=(name,), classes=(name, "b"), spellings={})
    found = constants(predict_script(dataset))
    assert found["TARGET"] == name
    assert found["NUMERIC"] == [name]
    assert found["CLASSES"] == [name, "b"]


def test_formats_that_differ_from_plain_numbers_are_listed() -> None:
    """A column of plain numbers has no entry."""
    assert constants(predict_script(table()))["SPELT"] == {"share": {"percent": True}}


def test_what_the_model_cannot_read_is_listed() -> None:
    """Percentages are parsed by the script; plain numbers and truth values in words are not."""
    spellings = {"share": Spelling("number", percent=True), "new": Spelling("truth", true="yes")}
    numeric = ("rooms", "share", "new", "km/h")
    found = constants(predict_script(table(numeric=numeric, spellings=spellings)))
    assert found["PARSED"] == ["share"]
    assert found["WORDS"] == {"new": {1.0: "yes", 0.0: "false"}}
    assert found["INPUTS"] == {"km/h": "km_h"}
    assert found["KNOWN"] == {"colour": ["", "red"]}


def test_several_targets_are_listed() -> None:
    """Labels have the names of both their values, quantities only their columns."""
    names = ("wet", "cold, at night")
    pairs = (("no", "yes"), ("0", "1"))
    labels = table(task="multilabel", classes=(), target=names, targets=names, labels=pairs)
    found = constants(predict_script(labels))
    assert (found["TARGETS"], found["LABELS"]) == ([*names], [list(pair) for pair in pairs])
    quantities = table(task="regression", classes=(), target=names, targets=names)
    found = constants(predict_script(quantities))
    assert found["TARGETS"] == [*names]
    assert not {"TARGET", "LABELS", "CLASSES"} & {*found}


def test_regression_has_no_classes() -> None:
    """The script of a regression predicts one column."""
    text = predict_script(table(task="regression", classes=()))
    assert "CLASSES" not in text
    assert "in the target's unit" in text


def test_included_functions_need_no_import_for_annotations() -> None:
    """They keep docstrings and comments, and lose annotations."""
    text = predict_script(table())
    functions = {n.name: n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)}
    assert {"as_text", "moment", "number_pattern", "to_number"} <= set(functions)
    for function in functions.values():
        assert ast.get_docstring(function)
        assert function.returns is None
        assert not any(argument.annotation for argument in function.args.args)
    assert "# plain strings are faster to iterate over" in text


def test_long_lists_are_broken() -> None:
    """Many long names stay within 100 columns."""
    text = predict_script(table(numeric=tuple(f"measurement number {k}" for k in range(40))))
    assert max(map(len, text.splitlines())) <= 100


def test_the_folder_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages and settings of a formatter where the command runs are not the script's."""
    before = predict_script(table())
    (tmp_path / "pandas").mkdir()
    (tmp_path / "pandas" / "__init__.py").touch()
    (tmp_path / "ruff.toml").write_text("line-length = 40\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    assert predict_script(table()) == before
