"""The stacks tried by a preview: all arms in few stacks, and the arms at fault."""

from __future__ import annotations

import pytest

from trainstack.search.preview import covering, singled_out
from trainstack.spaces.space import Space, space_names


@pytest.mark.parametrize("name", space_names())
def test_every_arm_is_in_a_stack(name: str) -> None:
    """Every arm of an axis with a choice is in one of a few stacks."""
    space = Space.named(name)
    samples = covering(space)
    for axis, arms in space.arms.items():
        for arm in arms if len(arms) > 1 else ():
            holders = [sample.stack for sample in samples if f"{axis}={arm}" in sample.arms]
            assert holders, (axis, arm)
            if axis not in ("bundle", "units"):
                assert {stack[axis] for stack in holders} == {arm}
    assert len(samples) <= 20


def test_the_largest_networks_are_among_them() -> None:
    """Each shape's widest and deepest network is tried, but not used to estimate the speed."""
    largest = [s for s in covering(Space.named("chapter")) if not s.typical]
    assert [s.stack.units for s in largest] == [(512,) * 5, (512, 256, 128, 64, 32)]


def test_the_arms_to_blame_are_tried_alone() -> None:
    """Only arms without a working stack are tried alone, with all else as usual."""
    space = Space.named("chapter")
    failed, *good = [s for s in covering(space) if "activation=mish" in s.arms] + [
        s for s in covering(space) if "activation=mish" not in s.arms
    ]
    singles = singled_out(space, failed, good)
    assert ["activation=mish"] in [list(single.arms) for single in singles]
    for single in singles:
        ((arm, _),) = single.arms.items()
        axis, _, choice = arm.partition("=")
        assert single.stack[axis] == choice
        assert all(arm not in sample.arms for sample in good)


def test_a_list_of_widths_is_singled_out() -> None:
    """Of two lists of widths the failing one is drawn again, alone."""
    document = Space.named("quick").to_json()
    document["axes"]["units"] = {"list": {"units": {"choices": [[16], [64, 64]]}}}
    space = Space.from_json(document)
    samples = covering(space)
    failed = next(s for s in samples if s.stack.units == (64, 64))
    singles = singled_out(space, failed, [s for s in samples if s.stack.units == (16,)])
    assert {single.stack.units for single in singles if "units=64-64" in single.arms} == {(64, 64)}
