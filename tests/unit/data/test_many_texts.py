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
