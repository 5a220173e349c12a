"""The table of initializers: three families, each in a normal and a uniform form.

Variance of an initial weight: Glorot 1/fan_avg (Glorot and Bengio, "Understanding the difficulty of
training deep feedforward neural networks", 2010), He 2/fan_in (He et al., "Delving deep into
rectifiers", 2015), LeCun 1/fan_in (LeCun et al., "Efficient backprop", 1998). The uniform form's
limit is sqrt(3 · variance).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trainstack.spaces.choices import Call, Choice, table


@dataclass(frozen=True)
class Initializer(Choice):
    """A distribution of initial weights.

    Attributes:
        scale: Numerator of the variance.
        fan: Denominator of the variance: `fan_in` or `fan_avg`.
        call: Keras's initializer.
    """

    scale: float = 1.0
    fan: str = "fan_in"
    call: Call = field(default_factory=lambda: Call(""))

    def variance(self, fan_in: float, fan_out: float) -> float:
        """Return the variance of a weight between layers of these widths.

        >>> INITIALIZERS["he_normal"].variance(100, 50)
        0.02
        """
        fan = fan_in if self.fan == "fan_in" else (fan_in + fan_out) / 2
        return self.scale / fan


def _row(name: str, about: str, keras: str, scale: float, fan: str) -> Initializer:
    return Initializer(name, about, scale=scale, fan=fan, call=Call(f"initializers.{keras}"))


INITIALIZERS: dict[str, Initializer] = table(
    _row("glorot_normal", "Glorot, normal", "GlorotNormal", 1.0, "fan_avg"),
    _row("glorot_uniform", "Glorot, uniform", "GlorotUniform", 1.0, "fan_avg"),
    _row("he_normal", "He, normal", "HeNormal", 2.0, "fan_in"),
    _row("he_uniform", "He, uniform", "HeUniform", 2.0, "fan_in"),
    _row("lecun_normal", "LeCun, normal", "LecunNormal", 1.0, "fan_in"),
    _row("lecun_uniform", "LeCun, uniform", "LecunUniform", 1.0, "fan_in"),
)

GLOROT = ("glorot_normal", "glorot_uniform")
HE = ("he_normal", "he_uniform")
LECUN = ("lecun_normal", "lecun_uniform")
