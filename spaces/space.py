"""A space: the permitted choices as data, and the drawing of stacks from it.

Drawing, encoding and reading stand together: each is the inverse of another. What of a space suits
a data set is decided in `for_data`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from trainstack.spaces.axes import (
    BEYOND_CHAPTER,
    BUNDLE_AXIS,
    CHOICE_AXES,
    NUMBER_AXES,
    SELF_NORMALIZING,
    UNITS_AXIS,
    only_choice,
)
from trainstack.spaces.building import axis_document
from trainstack.spaces.domains import Choices, Domain, Fixed, asked
from trainstack.spaces.errors import RequestError, nearest
from trainstack.spaces.own_numbers import PREFIX, OwnNumber
from trainstack.spaces.parsing import read_space
from trainstack.spaces.reusable import Reusable
from trainstack.spaces.shapes import SHAPES
from trainstack.spaces.stack import Stack

_NAMED = Path(__file__).parent / "named"


class TrialLike(Protocol):
    """The interface for drawing parameters; Optuna's `Trial` and `FixedTrial` satisfy it."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = ..., log: bool = ...
    ) -> float: ...
    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = ..., log: bool = ...
    ) -> int: ...
    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


@dataclass(frozen=True)
class Space:
    """The choices that a search may try.

    Attributes:
        name: Name of the space.
        about: The question that it answers.
        cost: Its cost in words.
        arms: Axis → choice → parameter → domain, for every axis that is a choice (`bundle` and
            `units`, whose choices are shapes, included). An activation's parameters include its
            `initializer`, a domain of names.
        numbers: Axis → domain, for the axes that are one number.
        network: Numbers of a user's own network by name, in the order in which it asks for them.
        voids: What in a user's own network voids self-normalization, in words; empty: nothing does.
        reused: The layers of the saved model that its bundle `reused` starts with, or None.
    """

    name: str
    about: str
    cost: str
    arms: Mapping[str, Mapping[str, Mapping[str, Domain]]]
    numbers: Mapping[str, Domain]
    network: Mapping[str, OwnNumber] = field(default_factory=dict)
    voids: str = ""
    reused: Reusable | None = None

    def draw(self, trial: TrialLike) -> Stack:
        """Draw a valid stack with the suggestions of `trial`.

        Parameter names are per arm: `learning_rate.nadam`, `initializer.relu`.
        """
        return self._walk(lambda name, domain, key: domain.ask(trial, name))

    def offers(self, stack: Stack) -> bool:
        """Return whether every choice of `stack` is one of the space, whatever its numbers."""
        return all(stack[axis] in self.arms[axis] for axis in CHOICE_AXES if axis in self.arms)

    def encode(self, stack: Stack) -> dict[str, Any] | None:
        """Return the parameters with which `draw` yields `stack`; None if the space lacks it."""
        found: dict[str, Any] = {}
        for targets in self._targets(stack):
            found.clear()

            def decide(name: str, domain: Domain, key: str, targets: Any = targets) -> Any:
                value = targets.get(key)
                if value is None or not domain.holds(value):
                    raise LookupError(key)
                if not isinstance(domain, Fixed):
                    found[name] = asked(domain, value)
                return value

            try:
                if self._walk(decide) == stack:
                    return dict(found)
            except LookupError:
                continue
        return None

    def _targets(self, stack: Stack) -> Iterator[dict[str, Any]]:
        """Yield every representation of `stack` in a space: by bundle and by shape."""
        document = stack.to_json()
        bundles = ["self_normalizing", "free"] if stack.self_normalizing else ["free"]
        if stack["pretraining"] == "reuse":
            yield {**document, BUNDLE_AXIS: "reused"}
            return
        for bundle in bundles:
            for shape in SHAPES.values():
                if (numbers := shape.numbers(stack.units)) is not None:
                    drawn = {f"{UNITS_AXIS}.{k}": v for k, v in numbers.items()}
                    yield {**document, BUNDLE_AXIS: bundle, UNITS_AXIS: shape.name, **drawn}

    def _walk(self, decide: Callable[[str, Domain, str], Any]) -> Stack:
        """Decide each axis in order by `decide(name, domain, key)`."""
        bundle, _ = self._arm(BUNDLE_AXIS, decide)
        reused = self.reused if bundle == "reused" else None
        chosen: dict[str, Any] = {}
        if reused is not None:
            chosen[UNITS_AXIS] = list(reused.units)
        else:
            shape, widths = self._arm(UNITS_AXIS, decide)
            chosen[UNITS_AXIS] = SHAPES[shape].widths(widths)
        fixed = SELF_NORMALIZING if bundle == "self_normalizing" else reused.fixed if reused else {}
        for axis in CHOICE_AXES:
            if axis in fixed:
                chosen[axis] = fixed[axis]
            elif (only := only_choice(axis, chosen)) is not None:
                chosen[axis] = only
            elif axis != "initializer":
                arm, values = self._arm(axis, decide, reused is not None)
                chosen[axis] = arm
                if axis == "activation":
                    chosen["initializer"] = values.pop("initializer")
                chosen.update({f"{axis}.{k}": v for k, v in values.items()})
        for axis, domain in self.numbers.items():
            chosen[axis] = decide(axis, domain, axis)
        for name, number in self.network.items():
            if number.active(chosen):
                key = PREFIX + name
                chosen[key] = decide(key, number.domain, key)
        return Stack.from_json(chosen)

    def _arm(
        self, axis: str, decide: Callable[[str, Domain, str], Any], reused: bool = False
    ) -> tuple[str, dict]:
        """Decide an axis and the parameters of its chosen arm.

        Args:
            axis: The axis.
            decide: As in `_walk`.
            reused: Whether the stack is one that reuses layers; only these do.
        """
        arms = self.arms[axis]
        if axis == "pretraining":
            arms = {arm: v for arm, v in arms.items() if (arm == "reuse") == reused} or {"none": {}}
        names = tuple(arms)
        domain = Fixed(names[0]) if len(names) == 1 else Choices(names)
        arm = decide(axis, domain, axis)
        values = {}
        for name, inner in arms[arm].items():
            key = name if name == "initializer" else f"{axis}.{name}"
            values[name] = decide(f"{name}.{arm}", inner, key)
        return arm, values

    def to_json(self) -> dict[str, Any]:
        """Return the document that `from_json` reads, as in a user's file.

        Axes beyond the chapter's that are fixed at the chapter's choice are left out.
        """
        axes: dict[str, Any] = {
            axis: {
                arm: {name: domain.to_json() for name, domain in parameters.items()}
                for arm, parameters in arms.items()
            }
            for axis, arms in self.arms.items()
        }
        axes.update({axis: domain.to_json() for axis, domain in self.numbers.items()})
        usual = {k: v if k in NUMBER_AXES else {v: {}} for k, v in BEYOND_CHAPTER.items()}
        axes = {axis: given for axis, given in axes.items() if usual.get(axis, ()) != given}
        own = {name: number.to_json() for name, number in self.network.items()}
        head = {"name": self.name, "about": self.about, "cost": self.cost, "axes": axes}
        more = {"voids": self.voids} if self.voids else {}
        more |= {} if self.reused is None else {"reused": self.reused.to_json()}
        return {**head, "network": own, **more} if own else {**head, **more}

    def with_axis(self, axis: str, choices: Any = None, /, **named: Any) -> Space:
        """Return this space with one axis replaced; see `Space.of`.

        A built-in space is then called `own`, since its name stands for what it was.

        >>> from trainstack.spaces.domains import Range
        >>> space = Space.named("quick").with_axis("dropout", none=..., all=Range(0.1, 0.4))
        >>> space.to_json()["axes"]["dropout"]
        {'none': {}, 'all': {'rate': {'low': 0.1, 'high': 0.4}}}

        Args:
            axis: Name of the axis.
            choices: The domain of a number; or the choices as a mapping, for names that are no
                keywords.
            **named: The choices.

        Raises:
            RequestError: The first problem, with its path.
        """
        document = self.to_json()
        given = {**(choices or {}), **named} if named else choices
        document["axes"][axis] = axis_document(axis, given)
        if self.name in space_names():
            document["name"] = "own"
        return Space.from_json(document)

    @classmethod
    def of(cls, name: str, about: str = "", cost: str = "", **axes: Any) -> Space:
        """Build a space from Python's objects: all that its JSON can say.

        Args:
            name: Name of the space.
            about: The question that it answers.
            cost: Its cost in words.
            **axes: Axis → choice → parameters. `...` stands for a choice with its defaults, a
                mapping gives parameters by name, and for a choice with one parameter its domain
                suffices. A domain is a number, a `Range`, or a list of values; an axis that is a
                number has only a domain.

        Raises:
            RequestError: The first problem, with its path.
        """
        document = {"name": name, "about": about, "cost": cost}
        written = {axis: axis_document(axis, given) for axis, given in axes.items()}
        return cls.from_json({**document, "axes": written})

    @classmethod
    def from_json(cls, document: Any) -> Space:
        """Read a space strictly; see `trainstack.spaces.parsing`.

        Raises:
            RequestError: The first problem, with its path.
        """
        return cls(**read_space(document))

    @classmethod
    def named(cls, name: str) -> Space:
        """Return the space of that name.

        Raises:
            RequestError: There is no such space.
        """
        if name not in space_names():
            raise RequestError(f"space {name!r} is not known", hint=nearest(name, space_names()))
        return cls.from_json(json.loads((_NAMED / f"{name}.json").read_text("utf-8")))

    @classmethod
    def read(cls, path: str | Path) -> Space:
        """Read a user's space from a JSON file.

        Raises:
            RequestError: The file is missing, is not JSON, or does not hold a valid space.
        """
        try:
            return cls.from_json(json.loads(Path(path).read_text("utf-8")))
        except OSError as error:
            raise RequestError(f"space file {path}: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise RequestError(f"space file {path} is not JSON ({error})") from None


def space_names() -> tuple[str, ...]:
    """Return the names of the built-in spaces."""
    return tuple(sorted(path.stem for path in _NAMED.glob("*.json")))
