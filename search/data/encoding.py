"""The encoder that converts a table's columns to features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainstack.search.data.kinds import MAX_CATEGORIES


def make_encoder(
    numeric: Sequence[str],
    has_missing: Sequence[str],
    text: Sequence[str],
    categories: Sequence[Sequence[str]],
) -> Any:
    """Return the unfitted transformer of a tidy frame.

    The structure (columns with missing values, known categories) is given, so that the number of
    features is the same for every split; all learned numbers (medians, frequencies of categories)
    come from the rows it is fitted on.

    Args:
        numeric: Columns whose missing values are replaced by the median.
        has_missing: Numeric columns that also get an indicator of missing values.
        text: Columns to encode as one-hot.
        categories: The categories of each text column; others are encoded as the infrequent
            feature if the column has one, else as zeros.

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
