"""Records of trials as a data frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from trainstack.search.json_values import json_safe
from trainstack.search.queue.trial_record import TrialRecord

if TYPE_CHECKING:
    import pandas as pd


def as_frame(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Return records of trials as a data frame; see `Study.trials`."""
    import pandas as pd

    frame = pd.json_normalize([json_safe(replace(record, layers={})) for record in records])
    columns: list[str] = []
    for field in fields(TrialRecord):
        inner = sorted(name for name in frame.columns if name.startswith(f"{field.name}."))
        columns += inner or ([] if field.name == "layers" else [field.name])
    return frame.reindex(columns=columns)
