"""The encoder that makes features of a table's columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainstack.search.data.columns import MAX_CATEGORIES


def make_encoder(
    numeric: Sequence[str],
    has_missing: Sequence[str],
    text: Sequence[str],
    categories: Sequence[Sequence[str]],
) -> Any:
    """Return the unfitted transformer of a tidy frame.

    What there is to encode (which columns lack values, which categories exist) is given, so that
    the number of features is the same for every split; every number that it learns (medians,
    how frequent a category is) comes from the rows it is fitted on.

    Args:
        numeric: Columns whose gaps are filled with the median.
        has_missing: Numeric columns that also get a feature telling that the value was missing.
        text: Columns that become one-hot.
        categories: The categories of each text column; others encode as the infrequent feature
            where the column has one, else as zeros.

    Returns:
        A ColumnTransformer; its output is a dense array [N, D].
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    known: Any = [list(names) for names in categories]
    as_float: Any = np.float32
    return ColumnTransformer(
        [
            ("number", SimpleImputer(strategy="median", keep_empty_features=True), list(numeric)),
            ("missing", MissingIndicator(features="all"), list(has_missing)),
            (
                "category",
                OneHotEncoder(
                    categories=known,
                    handle_unknown="infrequent_if_exist",
                    max_categories=MAX_CATEGORIES,
                    sparse_output=False,
                    dtype=as_float,
                ),
                list(text),
            ),
        ]
    )
