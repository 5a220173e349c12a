"""Whether the test set agrees with the verdict, which rests on the validation part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trainstack.search.evidence.comparisons import estimate
from trainstack.search.evidence.deciding import Deciding
from trainstack.search.evidence.estimates import Difference, Estimate, Verdict
from trainstack.search.evidence.formatting import interval, signed


def difference_on_test(
    mine: Mapping[str, Any], base: Mapping[str, Any], deciding: Deciding
) -> Estimate:
    """Return the recommended stack's objective minus the default's on the test rows, paired.

    The interval is Student's over the seeds. All seeds share the test rows, so it does not cover
    other rows.

    Args:
        mine: `chosen` of the measurement; may be empty.
        base: `baseline` of the measurement; may be empty.
        deciding: What decides the study.

    Returns:
        Without values if a stack was not measured, or not with the same number of seeds.
    """
    one = mine.get("test", {}).get(deciding.figure) or []
    two = base.get("test", {}).get(deciding.figure) or []
    if not one or len(one) != len(two):
        return Estimate(math.nan)
    sign = -1.0 if deciding.rises else 1.0
    return estimate([sign * (float(a) - float(b)) for a, b in zip(one, two, strict=True)])


def disagreement(verdict: Verdict, on_test: Difference) -> list[str]:
    """Return a caveat if the test rows point the other way than a verdict `better` or `worse`."""
    side = {Verdict.BETTER: 1.0, Verdict.WORSE: -1.0}.get(verdict)
    if side is None or not side * on_test.mean > 0.0:
        return []
    ends = "" if on_test.ci95 is None else f" ({interval(on_test.ci95, signed)} over the seeds)"
    sure = on_test.ci95 is not None and min(side * end for end in on_test.ci95) > 0.0
    what = "disagree with" if sure else "do not confirm"
    return [
        f"The test rows {what} the verdict `{verdict}`: on them the stack's {on_test.metric} minus "
        f"the default's is {signed(on_test.mean)}{ends}. The verdict is about the rows that were "
        "drawn for validation; the test part is one draw of rows, the same for every seed."
    ]
