"""Test the chapter's claims on many data sets, and pool them.

    python -m benchmarks.atlas.claims record DATA [DATA …] [--replicates 3] [--epochs 60]
        [--rows N] [--workers 1]
    python -m benchmarks.atlas.claims pool

DATA is a name, or a Parquet file whose last column is the target; of a file with more than N rows,
a sample of N is taken, always the same. `record` runs `trainstack claims DATA --claim all`, which
goes on where it stopped, and writes the relative differences of all pairs to a file for each data
set. `pool` writes the product's table, `search/claims/elsewhere.json`, from all files.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.launches import TASKS
from trainstack.search.claims.elsewhere import TABLE, pool, relative_gaps
from trainstack.search.claims.experiment import ended
from trainstack.search.claims.pairs import pairs
from trainstack.search.claims.table import CLAIMS
from trainstack.search.json_values import json_safe
from trainstack.search.records import Run
from trainstack.search.spec import StudySpec

FOLDER = Path(__file__).parents[1] / "results" / "claims"
# Significant digits of a recorded difference.
DIGITS = 4


def main() -> None:
    """Record, or pool what is recorded."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    recording = verbs.add_parser("record")
    recording.add_argument("data", nargs="+")
    recording.add_argument("--replicates", type=int, default=3)
    recording.add_argument("--epochs", type=int, default=60)
    recording.add_argument("--rows", type=int, help="rows of a file, at most")
    recording.add_argument("--workers", type=int, default=1)
    verbs.add_parser("pool")
    given = parser.parse_args()
    if given.verb == "pool":
        TABLE.write_text(text_of(recorded()), "utf-8")
        return
    for data in given.data:
        record(data, given.rows, given.replicates, given.epochs, given.workers)


def record(data: str, rows: int | None, replicates: int, epochs: int, workers: int) -> None:
    """Run the experiment on a data set to its end, and write its file."""
    from trainstack.search.database.connection import connected, storage_url
    from trainstack.search.queue import queries

    name = Path(data).stem
    words = _data_words(Path(data), rows) if Path(data).is_file() else [data]
    words += ["--study", f"claims-{name}", "--claim", "all", "--json"]
    words += ["--replicates", str(replicates), "--epochs", str(epochs), "--workers", str(workers)]
    command = [sys.executable, "-m", "trainstack.search.cli", "claims", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with connected(storage_url(None)) as here:
        spec, runs, _ = queries.evidence(here, f"claims-{name}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    document = document_of(name, spec, runs)
    (FOLDER / f"{name}.json").write_text(json.dumps(json_safe(document)) + "\n", "utf-8")


def _data_words(path: Path, rows: int | None) -> list[str]:
    """Return the words of the command that give a file's data, or a sample of its rows."""
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    if rows is not None and table.num_rows > rows:
        taken = np.random.default_rng(0).choice(table.num_rows, rows, replace=False)
        path = Path(tempfile.gettempdir()) / f"trainstack-{rows}-rows" / path.name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(table.take(taken), path)
    task = ["--task", TASKS[path.stem]] if path.stem in TASKS else []
    return [str(path), "--target", table.column_names[-1], *task]


def document_of(name: str, spec: StudySpec, runs: Sequence[Run]) -> dict[str, Any]:
    """Return what is recorded of an experiment: for each claim and contrast, its differences."""
    known = ended(runs)
    claims = {
        claim.id: [
            [
                float(f"{gap:.{DIGITS}g}")
                for gap in relative_gaps(contrast, pairs(claim, contrast, known, spec.replicates))
            ]
            for contrast in claim.contrasts
        ]
        for claim in (CLAIMS[name] for name in spec.experiment)
        if claim.contrasts
    }
    data = {"task": spec.data.task, "rows": spec.data.rows, "features": spec.data.features}
    asked = {"epochs": spec.epochs, "replicates": spec.replicates, "version": spec.version}
    return {"data": name, **data, **asked, "runs": len(runs), "claims": claims}


def recorded(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """Return the recorded documents of all data sets."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]


def text_of(documents: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of the product's table."""
    rows = []
    for claim in CLAIMS.values():
        gaps = {d["data"]: d["claims"][claim.id] for d in documents if claim.id in d["claims"]}
        found = json_safe(pool(claim, gaps))
        rows += [_short(found)] if found["data_sets"] else []
    document = {
        "command": "python -m benchmarks.atlas.claims pool",
        "data": [d["data"] for d in documents],
        "claims": rows,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _short(row: dict[str, Any]) -> dict[str, Any]:
    numbers = {key: row[key] for key in ("effect", "share")}
    ends = row["ci95"] and [float(f"{end:.{DIGITS}g}") for end in row["ci95"]]
    short = {k: v if v is None else float(f"{v:.{DIGITS}g}") for k, v in numbers.items()}
    return {**row, **short, "ci95": ends}


if __name__ == "__main__":
    main()
