"""Write the report: one offline HTML file, the same as Markdown, the data, and the pictures."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainstack.search.claims.elsewhere import in_words
from trainstack.search.conclusion.decision_text import decision_line, risk_line
from trainstack.search.conclusion.models import default_line, table
from trainstack.search.conclusion.recommendation import Recommendation
from trainstack.search.conclusion.text import lines_beside
from trainstack.search.evidence import formatting
from trainstack.search.evidence.comparisons import EQUIVALENCE_MARGIN
from trainstack.search.evidence.effects import Effect, Kind, by_evidence
from trainstack.search.evidence.estimates import Estimate
from trainstack.search.evidence.prediction import FIGURES, sentences
from trainstack.search.json_values import json_safe
from trainstack.search.records import CONFIRMATION, SEARCH, Run
from trainstack.search.report import figures
from trainstack.search.report.pictures import PICTURES, letters
from trainstack.search.spec import StudySpec
from trainstack.spaces.axes import BEYOND_CHAPTER

if TYPE_CHECKING:
    from jinja2 import Environment
    from plotly.graph_objects import Figure

_HERE = Path(__file__).parent

# Captions of the pictures.
CAPTIONS = {
    "confirmation": "Every confirmed stack against the chapter's default. Small circles: single "
    "seeds. Diamond and bar: mean and 95 % interval, corrected for the number of stacks compared.",
    "curves": "Without penalties, one line per seed; letters as in the table.",
    "effects": "Diamonds with bars: paired runs. Hollow circles: medians of search trials, which "
    "differ in more than this choice; they prove nothing.",
    "prediction": "On the test set, means over the seeds: probabilities averaged over passes with "
    "dropout on. On the validation part, first seed: small weights dropped; filled marks cost at "
    "most 1 % of loss.",
    "layers": "Mean and deviation of every hidden layer's outputs, the share of them saturated or "
    "of its units dead, and the norm of the gradient of its weights, on one batch; first seed of "
    "each confirmed stack, then trials that diverged. Falling or rising by powers of ten: "
    "gradients vanish or explode. Dashed: where a self-normalizing network stays.",
    "progress": "Every search trial; the line is the best so far. Marks at the upper edge lie "
    "above it or have no value.",
    "arms": "Finished search trials by the choice they made, the best first. The sampler did not "
    "choose at random, so read this as a record, not as a comparison.",
}

_LOGARITHM = " The networks were trained on the logarithm of the target; all are in its own unit."


def write_report(
    directory: Path, spec: StudySpec, recommendation: Recommendation, runs: Sequence[Run]
) -> list[Path]:
    """Write report.html, report.md, recommendation.json and the pictures.

    Args:
        directory: Folder to write into; created if necessary.
        spec: Spec of the study.
        recommendation: The conclusion of these runs.
        runs: All runs.

    Returns:
        The files written, report.html first.

    Raises:
        OSError: The folder cannot be written.
    """
    from plotly.offline import get_plotlyjs

    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    pictures = draw(recommendation, runs)
    context = {"pictures": pictures, **_context(spec, recommendation, runs)}
    document = json.dumps(json_safe(recommendation), indent=2, ensure_ascii=False, allow_nan=False)
    drawn = {name: figure for name, figure in pictures.items() if not isinstance(figure, str)}
    texts = {
        "report.html": render("report.html", script=get_plotlyjs() if drawn else "", **context),
        "report.md": render("report.md", **context),
        "recommendation.json": document + "\n",
        **{f"{name}.html": figures.html(it, name, "directory") for name, it in drawn.items()},
        # The pages of the pictures load this file; the report includes it, to be one file.
        **({"plotly.min.js": get_plotlyjs()} if drawn else {}),
    }
    for name, text in texts.items():
        (directory / name).write_text(text, "utf-8")
    return [directory / name for name in texts]


def draw(found: Recommendation, runs: Sequence[Run]) -> dict[str, Figure | str]:
    """Return every picture by name, or a sentence if there is nothing to draw."""
    names = letters(found)
    return {key: picture(runs, found, found.choice, names) for key, picture in PICTURES.items()}


def render(template: str, **context: Any) -> str:
    """Render a template of this folder; in HTML everything but the pictures is escaped."""
    from markupsafe import Markup

    if template.endswith(".html"):
        context["script"] = Markup(context["script"])
        context["style"] = Markup((_HERE / "report.css").read_text("utf-8"))
    return _environment(template.endswith(".html")).get_template(template).render(**context)


@functools.cache
def _environment(escape: bool) -> Environment:
    """Return the templates' environment, which keeps them compiled."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": formatting.number,
        "signed": formatting.signed,
        "spread": lambda ends: formatting.interval(ends, formatting.signed),
        "score": score,
        "called": lambda choice: "–" if choice is None else formatting.name(choice),
        "axis": lambda axis: axis.replace("_", " "),
        "cell": markdown_cell,
        "title": figures.titled,
        "drawn": lambda picture, name: Markup(figures.html(picture, name)),
    }
    return environment


def score(value: Estimate) -> str:
    """Return a score with its interval: `0.312 (0.304 to 0.320)`."""
    mean = formatting.number(value.mean, 4)
    if value.ci95 is None:
        return mean
    return f"{mean} ({formatting.interval(value.ci95, lambda v: formatting.number(v, 4))})"


def markdown_cell(value: Any) -> str:
    """Escape text for a cell of a Markdown table."""
    text = " ".join(str(value).split())
    for sign in ("\\", "|", "`", "*", "_", "<", "[", "]"):
        text = text.replace(sign, {"<": "&lt;"}.get(sign, "\\" + sign))
    return text


def _context(spec: StudySpec, found: Recommendation, runs: Sequence[Run]) -> dict[str, Any]:
    """Return the variables of the templates."""
    names = letters(found)
    judged = [c for c in found.claims if c.judgement.n_pairs]
    return {
        "spec": spec,
        "found": found,
        "baseline_description": formatting.describe(found.baseline.stack, spec.network_name),
        "is_default": found.stack == found.baseline.stack,
        "contenders": _contenders(found, names),
        "effects": by_evidence(found.effects),
        "left_out": _left_out(found.effects),
        "silent": [
            e.axis.replace("_", " ")
            for e in found.effects
            if e.kind is Kind.NONE and e.choice != BEYOND_CHAPTER.get(e.axis)
        ],
        "judged": judged,
        "unjudged": [c for c in found.claims if not c.judgement.n_pairs],
        "elsewhere": {c.id: "–" for c in found.claims}
        | {row.id: in_words(row) for row in found.elsewhere},
        "trials": sorted((r for r in runs if r.phase == SEARCH), key=lambda r: r.number),
        "confirmations": sorted(
            (r for r in runs if r.phase == CONFIRMATION),
            key=lambda r: (names.get(r.stack_id or "", "~"), r.seed_index),
        ),
        "letters": names,
        "logarithm": _LOGARITHM if spec.data.target_transform != "none" else "",
        "beside": lines_beside(found),
        "decision": decision_line(found),
        "risk": risk_line(found),
        "at_prediction": sentences(found.measured),
        "models": table(found.models, found.deciding),
        "default_model": default_line(found.models),
        "inside": any(r.layers for r in runs),
        "describe": partial(formatting.describe, network=spec.network_name),
        "shown": lambda run: formatting.number(run.value),
        "margin": f"{100 * EQUIVALENCE_MARGIN:g} %",
        "counts": {k: v for k, v in found.counts.items() if v},
        "stack_json": json.dumps(found.stack.to_json(), indent=2),
        "captions": CAPTIONS,
        "probabilities": FIGURES,
        "seconds": sum(figures.finite(r.seconds.get("total") for r in runs)),
    }


def _left_out(effects: Sequence[Effect]) -> str:
    """Return which effects the table leaves out, in a sentence; empty if none."""
    axes = [e.axis.replace("_", " ") for e in effects if e.rests_on_one]
    if not axes:
        return ""
    rows = "1 row is" if len(axes) == 1 else f"{len(axes)} rows are"
    return f"{rows} left out, as a single run cannot show an effect: {', '.join(axes)}."


def _contenders(found: Recommendation, names: dict[str, str]) -> list[dict[str, Any]]:
    """Return the rows of the table of compared stacks, the recommended stack first."""
    base = found.baseline.stack_id
    return [
        {
            "letter": names[row.stack_id],
            "is_default": row.stack_id == base,
            "description": row.description,
            "search_value": row.search_value,
            "loss": row.validation.minimized,
            "difference": difference,
            "left_race": left_race,
        }
        for row, difference, left_race in (
            (found, None, None),
            *((row, row.difference, row.left_race) for row in found.runners_up),
        )
    ]
