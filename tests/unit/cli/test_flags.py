"""Parsing of flags and formatting of numbers."""

from __future__ import annotations

import json
import math

import pytest

from trainstack.search.cli.checks import duration
from trainstack.search.cli.common import print_json, seconds
from trainstack.search.cli.gpus import chosen_gpus
from trainstack.spaces.errors import RequestError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90s", 90), ("1.5s", 1.5), ("30m", 1800), ("2h", 7200), ("1h30m10s", 5410)],
)
def test_lengths_of_time_are_read(text: str, expected: float) -> None:
    """Hours, minutes and seconds are read, together or alone."""
    assert duration(text, "--timeout ") == expected


@pytest.mark.parametrize("text", ["", "0", "-3", "soon", "3d", "10m5h", "1e3"])
def test_other_lengths_are_refused(text: str) -> None:
    """An empty text, zero, unknown units and units out of order are refused."""
    with pytest.raises(RequestError, match="--timeout"):
        duration(text, "--timeout ")


@pytest.mark.parametrize(
    ("flag", "installed", "expected"),
    [
        ("all", (), ()),
        ("all", ("0", "1"), ("0", "1")),
        ("none", ("0",), ()),
        ("1, 0", ("0", "1"), ("1", "0")),
    ],
)
def test_gpus_are_chosen(flag: str, installed: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """`all` selects all GPUs, `none` the CPU, and numbers those GPUs."""
    assert chosen_gpus(flag, installed) == expected


@pytest.mark.parametrize("flag", ["2", "0,2", "x", "", "0,", "-1"])
def test_gpus_that_are_not_there_are_refused(flag: str) -> None:
    """An uninstalled or invalid number is refused with the flag's name."""
    with pytest.raises(RequestError, match="--gpus"):
        chosen_gpus(flag, ("0", "1"))


def test_json_holds_no_number_that_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    """NaN and infinities become null at any depth; everything else is unchanged."""
    print_json({"a": [math.nan, 1.5, {"b": -math.inf}], "c": (1, "x", None, True)})
    expected = {"a": [None, 1.5, {"b": None}], "c": [1, "x", None, True]}
    assert json.loads(capsys.readouterr().out) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (75, "1 min 15 s"), (7260, "2 h 1 min"), (None, "–")],
)
def test_lengths_of_time_are_formatted(value: float | None, text: str) -> None:
    """Durations have seconds, minutes and hours, at most the two largest units."""
    assert seconds(value) == text
