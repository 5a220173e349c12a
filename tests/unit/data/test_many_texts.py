"""Columns with very many distinct texts."""

from __future__ import annotations

import pytest

from trainstack.search.data import odd_texts


def test_few_of_many_texts_are_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eleven texts that are no numbers show that a column holds no numbers with typing errors."""
    examined = []

    def numbers_of(texts: list[str]) -> None:
        examined.extend(texts)

    monkeypatch.setattr(odd_texts, "numbers_of", numbers_of)
    texts = [f"rs{k}" for k in range(1000)] + [f"{k}.5" for k in range(2000)]
    assert odd_texts.odd_among_numbers(texts) is None
    assert examined == texts[:11]


def test_codes_are_not_read_as_dates_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample of the texts shows that a column of codes has no dates of a format."""
    examined = set()

    def has_format(texts: list[str], form: str) -> bool:
        examined.update(texts)
        return False

    monkeypatch.setattr(odd_texts, "has_format", has_format)
    assert odd_texts.odd_among_dates([f"ABC{k}" for k in range(10_000)]) is None
    assert len(examined) == 500


def test_a_slip_among_many_dates_is_found() -> None:
    """One text of ten thousand that is no date is named, wherever it stands."""
    dates = [f"{1 + k % 28:02d}/{1 + k // 28 % 12:02d}/{1000 + k // 336}" for k in range(10_000)]
    assert odd_texts.odd_among_dates([*dates[:77], "soon, 1", *dates[77:]]) == "soon, 1"
