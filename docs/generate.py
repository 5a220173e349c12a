"""Generate the reference pages from the tables and the command's registry: `make docs`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.command_page import cli_page
from docs.fields import Document
from docs.markdown import code, page, table
from docs.notebook import NOTEBOOK, WALK, notebook
from docs.python_api import python_page
from docs.stack_pages import spaces_page, stack_page

FOLDER = Path(__file__).parent / "reference"


def json_page() -> str:
    """Return the reference of the JSON documents."""
    from docs.documents import DOCUMENTS

    return page(
        "JSON documents",
        "With `--json` a verb prints one document on standard output and nothing else; with "
        "`--follow`, one document per line. In a path a dot enters an object and `[]` a list. "
        "Numbers that are not finite are null. Fields may be added; existing ones stay.",
        *(_document(document) for document in DOCUMENTS),
    )


def _document(document: Document) -> str:
    """Return the section of a document: its fields, each list together with its items."""
    rows = []
    kinds = {field.path: field.kind for field in document.fields}
    for field in (f for f in document.fields if f.about or not f.path.endswith("[]")):
        items = kinds.get(f"{field.path}[]")
        kind = field.kind.replace("list", f"list (each: {items})") if items else field.kind
        about = field.about[:1].upper() + field.about[1:]
        rows.append((code(field.path), kind + (", if any" if field.sometimes else ""), about))
    heading = ", ".join(map(code, document.verbs))
    return f"## {heading}\n\n{document.about}\n\n{table(('field', 'kind', 'what it is'), rows)}"


def claims_page() -> str:
    """Return the reference of the chapter's claims."""
    from docs.claims import ABOUT, POOLED, pooled_rows, rows, tested_on

    return page(
        "The chapter's claims",
        ABOUT,
        table(("id", "claim", "comparison"), rows()),
        "## On other data",
        POOLED,
        f"Data sets: {tested_on()}.",
        table(("id", "comparison", "result"), pooled_rows()),
    )


PAGES: dict[str, Callable[[], str]] = {
    "stack.md": stack_page,
    "spaces.md": spaces_page,
    "cli.md": cli_page,
    "json.md": json_page,
    "claims.md": claims_page,
    "python.md": python_page,
}


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, write in PAGES.items():
        (FOLDER / name).write_text(write(), "utf-8")
    NOTEBOOK.write_text(notebook(WALK.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
