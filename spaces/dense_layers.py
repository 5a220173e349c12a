"""The tables of details of the dense layers: scale of the inputs, parametrization, first weights.

They are those of RealMLP (Holzmüller et al., "Better by Default", 2024, arXiv 2407.04491).
"""

from __future__ import annotations

from trainstack.spaces.choices import Choice, Parameter, table

INPUT_SCALES: dict[str, Choice] = table(
    Choice("none", "the inputs as they are"),
    Choice(
        "learned",
        "each input times a learned number, at first 1, that learns at a multiple of the rate "
        "(Holzmüller et al. 2024)",
        (Parameter("rate_factor", 6.0, 0.0, 100.0),),
    ),
)

PARAMETRIZATIONS: dict[str, Choice] = table(
    Choice("standard", "a layer multiplies by its kernel"),
    Choice(
        "ntk",
        "a layer multiplies by its kernel / √inputs, and the kernel starts √inputs larger "
        "(Jacot et al. 2018)",
    ),
)

BIASES: dict[str, Choice] = table(
    Choice("zeros", "the hidden layers' biases start at 0"),
    Choice("normal", "the biases start standard normal (Holzmüller et al. 2024)"),
    Choice(
        "data",
        "each starts at minus a random combination of its unit's inputs for five training rows "
        "(Steinwart 2019)",
    ),
)

CALIBRATIONS: dict[str, Choice] = table(
    Choice("none", "the hidden kernels start as the initializer draws them"),
    Choice(
        "weights",
        "each hidden unit's weights start scaled to deviation 1 over training rows, without bias "
        "(Mishkin and Matas 2016)",
    ),
)

HEADS: dict[str, Choice] = table(
    Choice("glorot", "the last layer's kernel starts with Glorot's uniform distribution"),
    Choice("zeros", "the last layer's weights start at 0 (Holzmüller et al. 2024)"),
)
