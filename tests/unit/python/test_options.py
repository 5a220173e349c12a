"""Options of a verb as keywords."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from trainstack.search.cli.main import command
from trainstack.search.python.options import as_words, keywords
from trainstack.spaces.errors import RequestError

# Flags of `launch` about its output, and the arguments that `launch()` names itself.
NOT_FOR_PROGRAMS = {"data", "preview", "json"}


def test_every_flag_is_a_keyword() -> None:
    """Each flag of `launch`, and its opposite, is a keyword of its name, with underscores."""
    flags = {
        name
        for p in command().commands["launch"].params
        for name in (*p.opts[:1], *p.secondary_opts)
    }
    expected = {flag.lstrip("-").replace("-", "_") for flag in flags} - NOT_FOR_PROGRAMS
    assert set(keywords("launch")) == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"trials": 4, "epochs": None}, ["--trials=4"]),
        ({"yardstick": False}, ["--no-yardstick"]),
        (
            {"no_yardstick": True, "no_earlier_studies": True},
            ["--no-yardstick", "--no-earlier-studies"],
        ),
        ({"no_yardstick": False}, ["--yardstick"]),
        ({"yardstick": True, "range_test": True}, ["--yardstick", "--range-test"]),
        ({"range_test": False}, []),
        ({"drop": ["a", "b,c"]}, ["--drop=a", "--drop=b,c"]),
        ({"constraint": "latency_ms<=1"}, ["--constraint=latency_ms<=1"]),
        ({"class_weight": {"rare": 5}}, ['--class-weight={"rare": 5}']),
        ({"timeout": timedelta(minutes=1.5)}, ["--timeout=90s"]),
        ({"timeout": timedelta(days=20)}, ["--timeout=1728000s"]),
        (
            {"trials": np.int64(4), "simplicity": np.float64(0.5)},
            ["--trials=4", "--simplicity=0.5"],
        ),
        ({"study": "-odd"}, ["--study=-odd"]),
    ],
)
def test_values_are_written_as_typed(options: dict[str, Any], words: list[str]) -> None:
    """A value becomes the argument that a user would type."""
    assert as_words("launch", options) == words


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trails": 3}, r"launch\(\) has no option 'trails'; did you mean 'trials'\?"),
        ({"json": True}, "has no option 'json'"),
        ({"range_test": 1}, "range_test=1; expected True or False"),
        ({"trials": True}, "trials=True; expected a text or a number"),
        ({"seed": len}, "seed=<built-in function len>; expected a text or a number"),
    ],
)
def test_a_wrong_keyword_is_refused(options: dict[str, Any], message: str) -> None:
    """An unknown keyword and a value of another kind give one line with a hint."""
    with pytest.raises(RequestError, match=message):
        as_words("launch", options)
