"""A study's recommendation as a program and a notebook show it."""

from __future__ import annotations

import html
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainstack.search.conclusion.recommendation import Recommendation

if TYPE_CHECKING:
    from trainstack.search.studies.conclusion import Conclusion

# Height of the report in a notebook, in pixels.
REPORT_HEIGHT = 640


@dataclass(frozen=True, repr=False)
class Recommended(Recommendation):
    """The conclusion of a study; for its attributes see `Recommendation`.

    `str` gives the text that `recommend` prints, a notebook shows it as a table.
    """

    @classmethod
    def of(cls, conclusion: Conclusion) -> Recommended:
        """Return the recommendation of a conclusion."""
        return cls(**_fields(conclusion.found))

    def to_json(self) -> dict[str, Any]:
        """Return the document that `recommend --json` prints."""
        from trainstack.search.json_values import json_safe

        return json_safe(Recommendation(**_fields(self)))

    def __str__(self) -> str:
        from trainstack.search.conclusion.text import text_of

        return text_of(self)

    def __repr__(self) -> str:
        return f"Recommended({self.study!r}: {self.description})"

    def _repr_html_(self) -> str:
        """Return the recommendation as HTML: the sentence, the scores, the caveats."""
        from trainstack.search.evidence.estimates import Estimate
        from trainstack.search.evidence.formatting import about
        from trainstack.search.python.running import as_keywords

        def shown(score: Estimate) -> str:
            return f"{about(score, 4)} (n = {score.n})" if score.n else "–"

        base = self.baseline
        columns = 2 if self.stack == base.stack else 3  # one score suffices for the default itself
        heads = (
            ("", "chapter's default") if columns == 2 else ("", "recommended", "chapter's default")
        )
        rows = [
            (f"{part} {what}", shown(mine.figure(what)), shown(other.figure(what)))
            for part, mine, other in (
                ("validation", self.validation, base.validation),
                ("test", self.test, base.test),
            )
            for what in self.deciding.shown
        ]
        caveats = "".join(f"<li>{html.escape(as_keywords(text))}</li>" for text in self.warnings)
        return "".join(
            (
                f"<p><b>{html.escape(self.sentence)}</b></p>",
                f"<p>{html.escape(' '.join(self.reasons))}</p>" if self.reasons else "",
                "<table><thead>",
                _row("th", heads),
                "</thead><tbody>",
                *(_row("td", row[:columns]) for row in rows),
                "</tbody></table>",
                f"<p>Caveats:</p><ul>{caveats}</ul>" if caveats else "",
            )
        )


def _fields(found: Recommendation) -> dict[str, Any]:
    return {field.name: getattr(found, field.name) for field in fields(found)}


def _row(cell: str, texts: tuple[str, ...]) -> str:
    return "<tr>" + "".join(f"<{cell}>{html.escape(t)}</{cell}>" for t in texts) + "</tr>"


def report_frame(conclusion: Conclusion) -> str:
    """Return the report of a conclusion, with its pictures, as a frame in a page of HTML.

    It needs no network: its script is part of it, 5 MB.
    """
    from trainstack.search.report.write import write_report

    with tempfile.TemporaryDirectory() as folder:
        files = write_report(Path(folder), conclusion.spec, conclusion.found, conclusion.runs)
        page = files[0].read_text("utf-8")
    style = f'style="width: 100%; height: {REPORT_HEIGHT}px; border: 0"'
    return f'<iframe {style} srcdoc="{html.escape(page)}"></iframe>'
