"""Layers of a saved model in a user's own network: fresh, frozen, thawed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.own_networks import IMAGES
from tests.support.saved_networks import code, saved_model
from trainstack.search.artifacts import FolderStore
from trainstack.search.data.inputs import Inputs
from trainstack.search.data.load import load
from trainstack.search.folds import SplitId
from trainstack.search.own_network import OwnNetwork
from trainstack.search.saved_model import read_saved
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.bench import Bench
from trainstack.workers.engine.build import make_optimizer
from trainstack.workers.engine.checkpoint import Shelf
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.own_network import built
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.structure import Structure, shaping_items
from trainstack.workers.engine.training import Training, batch_order
from trainstack.workers.export.model import export_model
from trainstack.workers.messages import INTERRUPTED
from trainstack.workers.tasks.own_network import look

pytestmark = pytest.mark.keras

ROWS, VALID, CLASSES, SEED, EPOCHS = 80, 30, 3, 5, 4
STACK = Stack.of(
    **{"activation": "relu", "initializer": "he_normal", "optimizer": "sgd", "batch_size": 16},
    **{"optimizer__learning_rate": 0.05, "schedule": "constant", "stopping": "none"},
)
THAWED = STACK.but(
    **{"network__pretrained": "thawed", "network__pretrained_frozen": 2},
    network__pretrained_rate_factor=1.0,
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, keras.Model]:
    """A saved model with its file."""
    path, model = tmp_path_factory.mktemp("saved") / "old.keras", saved_model()
    model.save(path)
    return path, model


@pytest.fixture(scope="module")
def network(saved: tuple[Path, Any]) -> OwnNetwork:
    """A network that takes all layers of the saved model but the last."""
    return OwnNetwork("mine.py", "build", code(saved[0]), IMAGES)


@pytest.fixture(scope="module")
def data() -> DeviceData:
    """Made-up rows of 64 numbers."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS + VALID, 64)).astype("float32")
    y = rng.integers(0, CLASSES, ROWS + VALID).astype("int32")
    return DeviceData(*(tf.constant(part) for part in (x[:ROWS], y[:ROWS], x[ROWS:], y[ROWS:])))


def program_of(network: OwnNetwork, stack: Stack) -> Program:
    """Return a program of the network."""
    shape = (Inputs(64), CLASSES, "classification", (ROWS, VALID), False)
    return Program(Structure(shaping_items(stack), *shape, network=network), stack)


def trained(program: Program, stack: Stack, data: DeviceData, **keywords: Any) -> Any:
    """Train from the seed's weights, or from a checkpoint; return the result."""
    program.reset(stack, SEED, data)
    stop = keywords.pop("stop", 0)
    training = Training(program, stack, SEED, EPOCHS, 1.0986, **keywords)
    return training.run(data, lambda m: INTERRUPTED if m.epoch == stop else None)


@pytest.mark.parametrize("choice", [None, "frozen", "thawed", "fresh"])
def test_layers_start_as_saved_or_fresh(
    choice: str | None, network: OwnNetwork, saved: Any, data: DeviceData
) -> None:
    """Saved weights are taken but for `fresh`, which the seed draws; the usual choice is frozen."""
    stack = STACK if choice is None else STACK.but(network__pretrained=choice)
    program = program_of(network, stack)
    program.reset(stack, SEED, data)
    taken = [v for v in program.member.variables if "lower" in v.path]
    theirs = saved[1].get_layer("lower").get_weights()
    for variable, value in zip(taken, theirs, strict=True):
        assert np.array_equal(variable.numpy(), value) == (choice != "fresh")
    first = program.weights()
    program.reset(stack, SEED, data)
    for ours, again in zip(first, program.weights(), strict=True):
        np.testing.assert_array_equal(ours, again)
    assert len(program.completed(stack).numbers("network")) == {"thawed": 3}.get(choice or "", 1)


@pytest.mark.parametrize("choice", ["frozen", "fresh"])
def test_frozen_layers_stay_and_fresh_ones_are_trained(
    choice: str, network: OwnNetwork, data: DeviceData
) -> None:
    """No weight or average of frozen layers changes in a training; fresh ones all do."""
    stack = STACK.but(network__pretrained=choice, averaging="exponential", penalty="l2")
    program = program_of(network, stack)
    program.reset(stack, SEED, data)
    start = program.weights()
    trained(program, stack, data)
    lower = {id(v) for v in program.architecture.saved.model.weights}  # type: ignore[attr-defined]
    kept = [id(v) in lower for v in program.model.variables]
    for is_lower, before, now in zip(kept, start, program.weights(), strict=True):
        if choice == "frozen" and is_lower:
            np.testing.assert_allclose(now, before, rtol=1e-6)
        else:
            assert not np.array_equal(now, before)


def test_thawing_is_that_of_keras_with_layers_toggled(
    network: OwnNetwork, data: DeviceData
) -> None:
    """`fit` with `trainable` off for two epochs, then on, gives the same weights and losses."""
    program = program_of(network, THAWED)
    program.reset(THAWED, SEED, data)
    theirs: Any = built(network, THAWED, CLASSES)
    theirs.model.set_weights(program.plain(program.weights()))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    x, y, losses = data.x_train.numpy(), data.y_train.numpy(), []
    for epoch in range(1, EPOCHS + 1):
        if epoch in (1, 3):
            theirs.saved.model.get_layer("lower").trainable = epoch == 3
            theirs.model.compile(make_optimizer(THAWED), loss, jit_compile=False)
        order = batch_order(SEED, epoch, ROWS, ROWS // 16, 16).ravel()
        theirs.model.fit(x[order], y[order], batch_size=16, shuffle=False, verbose=0)
        losses.append(theirs.model.evaluate(data.x_valid, data.y_valid, verbose=0))
    result = trained(program, THAWED, data)
    np.testing.assert_allclose([m.valid_loss for m in result.measurements], losses, rtol=1e-5)


def test_a_resumed_thawing_equals_one_in_a_go(
    network: OwnNetwork, data: DeviceData, tmp_path: Path
) -> None:
    """Interrupted while frozen and again after thawing, the weights are identical bit for bit."""
    stack = THAWED.but(optimizer="nadam", network__pretrained_rate_factor=0.3)
    program, other = program_of(network, stack), program_of(network, stack)
    whole = trained(program, stack, data)
    shelf = Shelf(FolderStore(tmp_path), "trial.npz", {})
    for stop in (1, 3):
        trained(other, stack, data, shelf=shelf, stop=stop)
    resumed = trained(other, stack, data, shelf=shelf)
    assert [m.valid_loss for m in resumed.measurements] == [
        m.valid_loss for m in whole.measurements
    ]
    for ours, theirs in zip(other.weights(), program.weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


ARMS = {
    'layer="mean"': ["frozen", "thawed", "fresh"],
    'layer="mean", freeze=False': ["thawed", "fresh"],
    'layer="mean", unfreeze_after=(), fresh=False': ["frozen"],
    'layer="mean", freeze=False, unfreeze_after=2, rate_factor=0.5': ["thawed", "fresh"],
}


@pytest.mark.parametrize("arguments", [*ARMS])
def test_the_arguments_say_what_is_offered(arguments: str, saved: Any) -> None:
    """The choices are an axis, with epochs and factor where thawing is chosen, and the file."""
    network = OwnNetwork("mine.py", "build", code(saved[0], arguments), IMAGES)
    (found,) = look({"network": network.to_json(), "outputs": CLASSES})
    numbers = found["numbers"]
    assert numbers["pretrained"] == {"choices": ARMS[arguments]}
    assert ("pretrained_frozen" in numbers) == ("thawed" in ARMS[arguments])
    if "rate_factor" in arguments:
        assert numbers["pretrained_frozen"]["choices"] == [2]
        assert numbers["pretrained_rate_factor"]["choices"] == [0.5]
    if len(ARMS[arguments]) == 3:
        assert numbers["pretrained_rate_factor"]["when"] == {"pretrained": ["thawed"]}
    assert found["files"][str(saved[0])]["digest"] == read_saved(str(saved[0])).digest
    assert found["voids"] == "a saved model"


WRONG = {
    '"nowhere.keras"': "nowhere.keras cannot be read",
    "__file__": "Keras cannot load the model",
    'SAVED, layer="men"': "has no layer 'men'",
    "SAVED": "takes (8, 8, 1), and is given (64,)",
    "SAVED, freeze=False, unfreeze_after=(), fresh=False": "values, each once",
}


@pytest.mark.parametrize("arguments", [*WRONG])
def test_a_wrong_saved_model_is_refused_in_one_line_with_its_place(
    arguments: str, saved: Any, tmp_path: Path
) -> None:
    """A missing file, one that is no model, another shape or layer: one line with the user's."""
    (tmp_path / "text.keras").write_text("no model", "utf-8")
    given = arguments.replace("SAVED", repr(str(saved[0])))
    given = given.replace("__file__", repr(str(tmp_path / "text.keras")))
    text = f"def build(stack, inputs, outputs):\n    return stack.pretrained({given})(inputs)\n"
    shape = (("inputs", (64,)),)
    with pytest.raises(RequestError) as refused:
        built(OwnNetwork("mine.py", "build", text, shape), STACK, CLASSES)
    assert WRONG[arguments] in str(refused.value)
    assert "mine.py, line 2" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_model_travels_with_the_study_and_is_exported(saved: Any, tmp_path: Path) -> None:
    """A worker without the file trains from the artifact store; the exported model predicts."""
    copy = tmp_path / "copy.keras"
    saved[1].save(copy)
    model = read_saved(str(copy))
    network = OwnNetwork("mine.py", "build", code(copy), IMAGES)
    network = replace(network, files=((str(copy), model),))
    spec = StudySpec("s", load("digits").describe(), {}, epochs=2, network=network)
    spec = StudySpec.from_json(spec.to_json())
    assert spec.saved_models == (model,)
    model.share(FolderStore(tmp_path / "artifacts"))
    copy.unlink()
    bench = Bench(spec, 0, str(tmp_path / "artifacts"))
    split, data = bench.split(SplitId(0), THAWED)
    program, _ = bench.program(THAWED, data, 2)
    bench.start(program, THAWED, SEED, data, 2)
    Training(program, THAWED, SEED, 2, 2.3).run(data, lambda m: None)
    prepared = split.prepared()
    ours = tf.nn.softmax(program.outputs(prepared.x_valid)).numpy()
    exported = tmp_path / "exported.keras"
    export_model(bench, THAWED, program, split).save(exported)
    loaded: Any = keras.models.load_model(exported)
    images = split.x_valid.reshape(-1, *loaded.input_shape[1:])
    np.testing.assert_allclose(loaded.predict(images, verbose=0), ours, rtol=1e-4, atol=1e-6)
