"""Critical values for simultaneous confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

# Nodes of the two quadratures; the probability is accurate to about 1e-5.
_NODES = 48


@lru_cache(maxsize=4096)
def critical_t(
    freedom: float, level: float = 0.95, comparisons: int = 1, correlation: float | None = None
) -> float:
    """Return the half-width of simultaneous intervals in standard errors.

    With a correlation r, t solves P(|T_1| <= t, …, |T_m| <= t) = level for m Student variables
    with a common estimate of the spread and correlation r between any two, as for several stacks
    against one (r = 1/2 for equal numbers of runs). r = 0 is valid for contrasts with any
    correlation (Šidák). Without r, t is Dunn's (Bonferroni's), P(|T| <= t) = 1 - (1 - level) / m,
    which needs no common spread.

    Args:
        freedom: Degrees of freedom of the spread, above 0.
        level: Probability that all intervals hold, in (0, 1).
        comparisons: Number m of simultaneous intervals, 1 or more.
        correlation: r in [0, 1), or None.

    Reference: Dunnett, "A multiple comparison procedure for comparing several treatments with a
    control", 1955; Šidák, "Rectangular confidence regions for the means of multivariate normal
    distributions", 1967; Dunn, "Multiple comparisons among means", 1961.
    """
    from scipy import optimize, special

    widest = float(special.stdtrit(freedom, 1.0 - (1.0 - level) / (2.0 * max(1, comparisons))))
    if comparisons <= 1 or correlation is None:
        return widest
    single = float(special.stdtrit(freedom, 0.5 + level / 2.0))
    held = _together(freedom, comparisons, correlation)
    bracket = (0.99 * single, 1.01 * widest)
    return float(optimize.root_scalar(lambda t: held(t) - level, bracket=bracket).root)


def _together(freedom: float, comparisons: int, correlation: float) -> Callable[[float], float]:
    """Return P(all |T| <= t) as a function of t.

    Given the spread s and the common part z, the T are independent:
    E[(Φ(a + b) - Φ(a - b))^m] with a = sqrt(r / (1 - r)) z and b = t s / sqrt(1 - r).
    """
    from scipy import special  # its `stats` takes a second to import

    z, z_weights = np.polynomial.hermite_e.hermegauss(_NODES)
    u, u_weights = np.polynomial.legendre.leggauss(_NODES)
    # Quantiles of s on a grid refined towards s = 0, where the risk lies: u = ((1 + x) / 2)².
    u, u_weights = ((1.0 + u) / 2.0) ** 2, u_weights * (1.0 + u) / 2.0
    # A χ² quantile with f degrees of freedom is twice that of the gamma distribution of shape f/2.
    s = np.sqrt(2.0 * special.gammaincinv(freedom / 2.0, u) / freedom)
    own = math.sqrt(1.0 - correlation)
    a = (math.sqrt(correlation) / own * z)[:, None]
    weights = np.outer(z_weights / math.sqrt(2.0 * math.pi), u_weights)

    def held(t: float) -> float:
        b = t * s / own
        inside = special.ndtr(a + b) - special.ndtr(a - b)
        return float((weights * inside**comparisons).sum())

    return held
