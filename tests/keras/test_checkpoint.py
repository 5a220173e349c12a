"""An interrupted and resumed trial equals an uninterrupted one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from trainstack.search.artifacts import FolderStore
from trainstack.search.data.inputs import Inputs
from trainstack.search.records import Measurement, Result
from trainstack.spaces.references import REFERENCES
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.checkpoint import Shelf
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.structure import Structure, shaping_items
from trainstack.workers.engine.training import Training
from trainstack.workers.messages import ABANDONED, INTERRUPTED

pytestmark = pytest.mark.keras
SEED, EPOCHS, FEATURES, CLASSES = 3, 12, 6, 3


@pytest.fixture(scope="module")
def data() -> DeviceData:
    """A hundred rows that a network can learn and overfit."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, FEATURES)).astype(np.float32)
    y = (x[:, 0] + 0.7 * rng.standard_normal(100) > 0).astype(np.int32) + (x[:, 1] > 1)
    y = y.astype(np.int32)
    parts = (x[:70], y[:70], x[70:], y[70:])
    return DeviceData(*(tf.constant(part) for part in parts))


def small(name: str, **changes: object) -> Stack:
    """Return a reference with small layers and batches."""
    document = {**REFERENCES[name].to_json(), "units": [8, 5], "batch_size": 16, **changes}
    return Stack.from_json(document)


BINS = {"embedding.bins": 5, "embedding.width": 2, "embedding.rate_factor": 0.5}
STACKS = {
    "performance schedule, Nadam": small("chapter-default"),
    "alpha dropout": small("chapter-risk-sensitive"),
    "batch normalization, AdamW, dropout": small("relu-he-bn-dropout-adamw"),
    "moving average, batch normalization": small(
        "relu-he-bn-dropout-adamw",
        **{"averaging": "exponential", "averaging.decay": 0.9},
        **{"regularizer_schedule": "flat_cosine", "label_smoothing": 0.1},
    ),
    "mean of the last epochs": small(
        "relu-he-sgd-1cycle", **{"averaging": "last", "averaging.share": 0.75}
    ),
    "embedded categories": small(
        "chapter-default",
        **{"categories": "embedded", "categories.levels": 2, "categories.size": 4},
        **{"categories.rate_factor": 0.5},
    ),
    "bins of the split": small("chapter-default", embedding="piecewise", **BINS),
    "ntk, rates of their own": small(
        "chapter-default",
        **{"bias_rate": 0.1, "input_scale": "learned", "input_scale.rate_factor": 6.0},
        **{"parametrization": "ntk", "head": "zeros"},
    ),
    "members, dropout": small("tabm-mini", **{"members.count": 3}),
    "independent members": small(
        "relu-he-bn-dropout-adamw",
        **{"members": "independent", "members.count": 2, "averaging": "exponential"},
        **{"averaging.decay": 0.9},
    ),
    "pretrained": small(
        "relu-he-bn-dropout-adamw",
        **{"pretraining": "autoencoder", "pretraining.layers": 1, "pretraining.length": 0.2},
        **{"pretraining.learning_rate": 0.01, "pretraining.frozen": 0.4},
        **{"pretraining.rate_factor": 0.5, "bias_rate": 0.1},
    ),
    "1cycle moves the momentum": small("relu-he-sgd-1cycle"),
}


def program_of(stack: Stack) -> Program:
    structure = Structure(
        stack=shaping_items(stack),
        inputs=Inputs(FEATURES - 3, 3, (3,)),
        outputs=CLASSES,
        task="classification",
        rows=(70, 30),
        compiled=False,
    )
    return Program(structure, stack)


def shelf_at(path: Path, **identity: int) -> tuple[Shelf, Path]:
    """Return a shelf whose checkpoint has a given path."""
    return Shelf(FolderStore(path.parent), path.name, identity), path


def trained(
    program: Program, stack: Stack, data: DeviceData, shelf: Shelf | None, stops: dict[int, str]
) -> Result:
    """Train from fresh weights or the checkpoint; interrupt after the epochs in `stops`."""
    program.reset(stack, SEED, data)
    training = Training(program, stack, SEED, EPOCHS, 1.0986, shelf=shelf)
    return training.run(data, lambda measured: stops.get(measured.epoch))


def same(one: Result, other: Result) -> bool:
    """Tell whether two results are identical except for their times."""

    def timeless(measured: Measurement) -> tuple[float, ...]:
        return measured.epoch, measured.train_loss, measured.valid_loss, measured.metric

    curves = [[timeless(m) for m in result.measurements] for result in (one, other)]
    ends = [(r.outcome, r.value, r.best_epoch) for r in (one, other)]
    return curves[0] == curves[1] and ends[0] == ends[1]


def interruptions(last: int, dice: random.Random) -> Iterator[list[int]]:
    """Yield epochs before the last at which one trial is interrupted, until each was among them."""
    left = dice.sample(range(1, last), last - 1)
    while left:
        count = dice.choice((1, 1, 2, 3))
        yield sorted(left[:count])
        left = left[count:]


@pytest.mark.parametrize("name", STACKS)
def test_interrupted_is_uninterrupted(name: str, data: DeviceData, tmp_path: Path) -> None:
    """Interrupted after every epoch, in some trials several times, the weights are identical bit
    for bit."""
    stack, dice = STACKS[name], random.Random(7)
    program = program_of(stack)
    whole = trained(program, stack, data, None, {})
    weights, slots = program.weights(), program.slots()
    other = program_of(stack)  # a new trainer has no state of the first
    assert len(whole.measurements) > 5
    for turn, epochs in enumerate(interruptions(len(whole.measurements), dice)):
        shelf, path = shelf_at(tmp_path / f"{turn}.npz", trial=turn)
        for epoch in epochs:
            stopped = trained(other, stack, data, shelf, {epoch: INTERRUPTED})
            assert (stopped.outcome, len(stopped.measurements)) == (INTERRUPTED, epoch)
            assert path.is_file()
        resumed = trained(other, stack, data, shelf, {})
        assert same(resumed, whole)
        for ours, theirs in zip(other.weights(), weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        for ours, theirs in zip(other.slots(), slots, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert not path.exists()


def test_written_at_intervals(data: DeviceData, tmp_path: Path) -> None:
    """A running trial is saved at intervals, so that a killed one resumes from there."""
    stack = STACKS["performance schedule, Nadam"]
    program = program_of(stack)
    shelf = Shelf(FolderStore(tmp_path), "deep/trial.npz", {}, every_seconds=0.0)
    seen = []

    def judge(measured: Measurement) -> str | None:
        seen.append(measured.epoch)
        return ABANDONED if len(seen) == 5 else None  # like a kill: nothing more is written

    program.reset(stack, SEED)
    Training(program, stack, SEED, EPOCHS, 1.0986, shelf=shelf).run(data, judge)
    found = shelf.load()
    assert found is not None
    assert [m.epoch for m in found.measurements] == [1, 2, 3, 4]
    whole = trained(program_of(stack), stack, data, None, {})
    assert same(trained(program, stack, data, shelf, {}), whole)


@pytest.mark.parametrize("spoilt", [b"", b"no archive", b"PK\x03\x04cut"])
def test_spoilt_checkpoint(spoilt: bytes, data: DeviceData, tmp_path: Path) -> None:
    """A checkpoint that cannot be read, or belongs to another trial, is ignored."""
    stack = STACKS["performance schedule, Nadam"]
    program = program_of(stack)
    whole = trained(program, stack, data, None, {})
    shelf, path = shelf_at(tmp_path / "trial.npz", seed=1)
    path.write_bytes(spoilt)
    assert same(trained(program, stack, data, shelf, {}), whole)
    trained(program, stack, data, shelf, {4: INTERRUPTED})
    assert shelf_at(path, seed=2)[0].load() is None
    assert shelf_at(path, seed=1)[0].load() is not None


def test_no_room_for_a_checkpoint(data: DeviceData, tmp_path: Path) -> None:
    """If the folder cannot be written, the trial continues without a checkpoint."""
    stack = STACKS["performance schedule, Nadam"]
    (tmp_path / "file").write_text("in the way")
    program = program_of(stack)
    shelf = Shelf(FolderStore(tmp_path), "file/trial.npz", {}, every_seconds=0.0)
    assert trained(program, stack, data, shelf, {}).outcome == "completed"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
