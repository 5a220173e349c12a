"""The default over several data sets: regret, rank, leave-one-out, and missing evidence."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.planted_study import Planted, made_up_spec
from trainstack.search.cli.across import one_study, recommend_across, text_of
from trainstack.search.conclusion.across_records import Across
from trainstack.search.conclusion.across_studies import across
from trainstack.search.json_values import json_safe
from trainstack.search.records import Run
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError
from trainstack.spaces.references import CHAPTER_DEFAULT, REFERENCES
from trainstack.spaces.stack import Stack

BN, PLAIN = REFERENCES["relu-he-bn-adam"], REFERENCES["relu-he-sgd-1cycle"]
STACKS = (CHAPTER_DEFAULT, BN, PLAIN)


def study(
    name: str,
    gains: dict[Stack, float],
    stacks: tuple[Stack, ...] = STACKS,
    planted: Planted | None = None,
    data: str | None = None,
) -> tuple[StudySpec, list[Run]]:
    """A searched study whose stacks have these losses above 0.5, with hardly any noise."""
    spec = made_up_spec(space={"axes": {}}, trials=len(stacks), study=name)
    title = data or name
    spec = replace(spec, data=replace(spec.data, source=f"/data/{title}", fingerprint=title))
    planted = planted or Planted(deviation=1e-9)
    runs = planted.search(spec, stacks)
    return spec, [
        replace(r, value=r.value + gains.get(r.stack, 0.0)) if r.value and r.stack else r
        for r in runs
    ]


def three() -> Across:
    """Three data sets: BN is near the best on all, every other stack fails on one."""
    return across(
        [
            study("one", {CHAPTER_DEFAULT: 0.0, BN: 0.05, PLAIN: 0.5}),
            study("two", {CHAPTER_DEFAULT: 0.5, BN: 0.0, PLAIN: 0.5}),
            study("three", {CHAPTER_DEFAULT: 0.5, BN: 0.05, PLAIN: 0.0}),
        ]
    )


def test_the_least_mean_regret_is_chosen() -> None:
    """Regret is the loss above the best of the stacks, as a fraction of it, averaged over data."""
    best, *others = three().stacks
    assert best.stack == BN
    assert [p.regret for p in best.places] == pytest.approx([0.1, 0.0, 0.1], abs=1e-6)
    assert [p.rank for p in best.places] == [2, 1, 2]
    assert best.mean_regret == pytest.approx(0.2 / 3, abs=1e-6)
    assert [e.mean_regret for e in others] == sorted(e.mean_regret for e in others)


def test_each_data_set_is_judged_by_the_choice_of_the_others() -> None:
    """Leave-one-out chooses on the other data sets, and gives that choice's regret on this one."""
    rows = {row.data: row for row in three().leave_one_out}
    assert list(rows) == ["one", "two", "three"]
    # Without `three`: the default 0 and 1, BN 0.1 and 0, plain 1 and 1.
    assert rows["three"].stack_id == BN.stack_id
    assert rows["three"].regret == pytest.approx(0.1, abs=1e-6)
    assert rows["three"].default_regret is not None
    assert rows["three"].default_regret == pytest.approx(1.0, abs=1e-6)


def test_a_consistent_gain_over_many_data_sets_is_better() -> None:
    """On eight data sets a stack that always beats the default by a tenth is `better`; one that
    beats it sometimes is not."""
    always = [study(f"d{k}", {CHAPTER_DEFAULT: 0.05 + 0.001 * k, PLAIN: 0.4}) for k in range(8)]
    both = (CHAPTER_DEFAULT, BN)
    now_and_then = [study(f"d{k}", {both[k % 3 == 1]: 0.05}, both) for k in range(8)]
    assert across(always).word == "better"
    found = across(now_and_then)
    assert found.word in ("undecided", "equivalent")
    assert "luck" in found.sentence or "margin" in found.sentence


def test_only_what_every_data_set_has_is_compared() -> None:
    """A stack missing from one study is left out, however good it is elsewhere."""
    found = across([study("one", {}), study("two", {BN: -0.4}, (CHAPTER_DEFAULT, BN))])
    assert {e.stack for e in found.stacks} == {CHAPTER_DEFAULT, BN}


def test_a_perfect_stack_makes_no_other_a_diverged_one() -> None:
    """Where the best objective is 0, regret is measured in rows of the validation part."""
    gains = {CHAPTER_DEFAULT: 0.0, BN: 0.05, PLAIN: 0.1}
    spec, runs = study("perfect", gains)
    spec = replace(spec, data=replace(spec.data, rows=100), metric="accuracy")
    best = min(r.value for r in runs if r.value is not None)
    perfect = [replace(r, value=r.value and r.value - best) for r in runs]
    found = across([(spec, perfect), study("other", gains)])
    # One row of the 16 of a validation part, to which the rounding of float32 is added.
    regrets = {e.stack: e.places[0].regret for e in found.stacks}
    assert regrets == pytest.approx({CHAPTER_DEFAULT: 0.0, BN: 0.8, PLAIN: 1.6}, rel=1e-3)
    assert "diverged" not in text_of(found)


def test_objectives_below_0_have_regrets() -> None:
    """A metric of a user's own may be below 0: its shares are those of its size."""
    gains = {CHAPTER_DEFAULT: -1.5, BN: -1.25, PLAIN: -1.0}
    found = across([study("one", gains), study("two", gains)])
    regrets = {e.stack: e.mean_regret for e in found.stacks}
    assert regrets == pytest.approx({CHAPTER_DEFAULT: 0.0, BN: 0.25, PLAIN: 0.5}, rel=1e-3)


def test_studies_of_the_same_data_must_have_one_objective() -> None:
    """A mean over a loss and a share of wrong rows would mean nothing."""
    spec, runs = study("one", {}, data="same")
    other = replace(spec, study="two", metric="accuracy")
    with pytest.raises(RequestError, match=r"same decide by loss and 1 - accuracy; expected one"):
        across([(spec, runs), (other, runs)])


def test_a_stack_that_diverges_somewhere_comes_last() -> None:
    """A stack that diverges on one data set has infinite regret and comes last."""
    broken = Planted(deviation=1e-9, diverge=frozenset({BN.stack_id}))
    found = across([study("one", {BN: -0.3}), study("two", {}, planted=broken)])
    assert found.stacks[-1].stack == BN
    assert "diverged" in text_of(found)
    json.dumps(json_safe(found)["stacks"][0], allow_nan=False)


def test_without_a_common_stack_there_is_no_evidence() -> None:
    """Without a common stack, or with only one, the result is `no evidence` with a reason."""
    nothing = across([study("one", {}, (BN,)), study("two", {}, (PLAIN,))])
    alone = across([study("one", {}, (BN,)), study("two", {}, (BN, PLAIN))])
    for found in (nothing, alone):
        assert found.word == "no evidence"
        assert found.sentence.startswith("No evidence")
        assert not found.leave_one_out
    assert nothing.stack is None
    assert text_of(alone)


def test_without_the_default_there_is_no_word() -> None:
    """If the chapter's default was not trained everywhere, the best stack gets no verdict."""
    found = across([study(name, {PLAIN: 0.1}, (BN, PLAIN)) for name in ("one", "two")])
    assert found.stacks[0].stack == BN
    assert found.word == "no evidence"


def test_studies_of_the_same_data_are_one_data_set() -> None:
    """Two studies of the same data count once, with the mean of their losses."""
    found = across(
        [
            study("one", {BN: 0.1}, data="digits"),
            study("again", {BN: 0.3}, data="digits"),
            study("two", {BN: 0.1}),
        ]
    )
    assert found.data == ("digits", "two")
    bn = next(e for e in found.stacks if e.stack == BN)
    assert bn.places[0].regret == pytest.approx(0.4, abs=1e-6)


def test_confirmed_losses_go_before_the_searchs() -> None:
    """For a confirmed stack the confirmation's mean is used, not the search's score."""
    planted = Planted(deviation=0.05)
    spec, runs = study("one", {}, planted=planted)
    found = across([(spec, planted.confirm(spec, runs)), study("two", {})])
    assert {e.stack: e.places[0].n for e in found.stacks}[CHAPTER_DEFAULT] == 5


def test_text_fits_a_terminal() -> None:
    """The text has no line over 80 columns, and names stacks and data."""
    text = text_of(three())
    assert max(map(len, text.splitlines())) <= 80
    for word in ("chapter-default", "relu-he-bn-adam", "two", "mean regret", "left out"):
        assert word in text


def test_several_studies_need_the_flag_and_the_flag_several_studies() -> None:
    """One study goes without --across, two or more different ones with it."""
    assert one_study(["digits"]) == "digits"
    with pytest.raises(RequestError, match="--across"):
        one_study(["digits", "wine"])
    for names in (["digits"], ["digits", "digits"]):
        with pytest.raises(RequestError, match="two studies or more"):
            recommend_across(names, False, None)
