"""The product uses Optuna through its public interface only."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path for part in ("search", "workers", "spaces") for path in (ROOT / part).rglob("*.py")
)
# Attributes of Optuna's objects that a user of the library must not rely on.
PRIVATE = {"_trial_id", "_study_id", "_storage", "_get_trials", "_thread_local", "_backend"}
TABLES = re.compile(r"\b(FROM|INTO|UPDATE|JOIN)\s+(trials|studies|trial_\w+|study_\w+)\b")


def imports(tree: ast.AST) -> list[str]:
    """Return the dotted names that a module imports."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_optuna_is_used_by_public_names(path: Path) -> None:
    """No module imports a private name of Optuna, reads a private member, or queries its tables."""
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    named = [name for name in imports(tree) if name.startswith("optuna")]
    assert [name for name in named if "._" in name] == []
    if named:
        members = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        own = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        }
        assert PRIVATE & (members - own) == set()
    assert TABLES.findall(text) == []
