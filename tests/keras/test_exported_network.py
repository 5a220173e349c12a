"""The exported script of a user's own network: plain Keras, the same network, the same training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from tests.support.documents import ROOT
from tests.support.own_networks import CODE, INPUTS
from tests.support.own_networks import FLIPPING as FLIPPING_MODEL
from tests.support.saved_networks import code as taking
from tests.support.saved_networks import saved_model
from trainstack.search.data.inputs import Inputs
from trainstack.search.data.load import load
from trainstack.search.data.own_inputs import inputs_of
from trainstack.search.own_network import OwnNetwork
from trainstack.search.payloads import Refit
from trainstack.search.saved_model import read_saved
from trainstack.search.spec import StudySpec
from trainstack.spaces.own_pretrained import own_rate
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.fit_program import FitProgram
from trainstack.workers.engine.own_network import built
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.structure import Structure, shaping_items
from trainstack.workers.export.keras_code import script

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("one_trace")]

BATCH, CLASSES, ROWS = 16, 3, 150
COMMON = {"optimizer": "adam", "schedule": "constant", "batch_size": BATCH}
STACKS = {
    "bounded": Stack.of(
        **{"activation": "elu", "initializer": "he_normal", "normalization": "before"},
        **{"penalty": "l2", "penalty__l2": 0.01, "max_norm": "clip", "max_norm__radius": 0.7},
        **COMMON,
    ),
    "decayed": Stack.of(
        **{"activation": "prelu", "normalization": "after", "decay": "decoupled"},
        **{"decay__weight_decay": 0.1, "bias_rate": 0.1, "clipping": "norm", "head": "zeros"},
        **{"network__blocks": 2, "network__filters_0": 4, "network__pool": "mean", **COMMON},
    ),
}
RANDOM = {
    "falling": Stack.of(dropout="all", regularizer_schedule="flat_cosine", optimizer="adamw"),
    "last": Stack.of(activation="rrelu", dropout="last", schedule="1cycle", network__blocks=3),
    "averaged": Stack.of(dropout="hidden", averaging="exponential", normalization="after"),
}
NETWORKS = ("lenet", "recurrent", "residual", "two", "nested")


def dataset_of(name: str, folder: Path) -> Any:
    """Write and load the arrays of a network's inputs, with classes that depend on them."""
    rng, y = np.random.default_rng(0), np.arange(ROWS) % CLASSES
    shapes = dict(INPUTS.get(name, (("", (8, 8, 1)),)))
    arrays = {
        f"x_train{'_' if len(shapes) > 1 else ''}{key if len(shapes) > 1 else ''}": (
            rng.normal(size=(ROWS, *shape)) * 3 + y.reshape(-1, *[1] * len(shape))
        )
        for key, shape in shapes.items()
    }
    np.savez(folder / "data.npz", y_train=y, **arrays)
    return load(str(folder / "data.npz"))


class Exported:
    """A network, its data and the definitions of its exported script."""

    def __init__(
        self,
        name: str,
        stack: Stack,
        folder: Path,
        refit: Refit | None = None,
        text: str = CODE,
        **more: Any,
    ) -> None:
        self.dataset = dataset_of(name, folder)
        self.network = OwnNetwork("network.py", name, text, inputs_of(self.dataset).shapes, **more)
        spec = StudySpec("s", self.dataset.describe(), {}, epochs=2, network=self.network)
        self.text = script(self.dataset, spec, stack, [7, 8], {"loss": [0.5]}, refit)
        (folder / "train.network.py").write_text(text, "utf-8")
        self.names: dict[str, Any] = {"__name__": "script", "__file__": str(folder / "train.py")}
        exec(compile(self.text, "train.py", "exec", dont_inherit=True), self.names)


@pytest.mark.parametrize("kind", [*STACKS])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_script_trains_a_network_as_the_engine_does(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the same weights and batches the script's optimizer gives the engine's weights."""
    stack = STACKS[kind]
    made = Exported(name, stack, tmp_path)
    start, ours, model, x = both_trained(made, stack, monkeypatch)
    for mine, theirs in zip(ours, model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    assert any(not np.allclose(a, b, atol=1e-3) for a, b in zip(start, ours, strict=True))
    expected = keras.ops.softmax(built_with(made, stack, ours)(x, training=False))
    np.testing.assert_allclose(model(x, training=False), expected, rtol=1e-4, atol=1e-5)


def both_trained(
    made: Exported, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[np.ndarray], list[np.ndarray], Any, np.ndarray]:
    """Train two epochs of the same batches by the engine and by the script, from equal weights.

    Returns:
        The weights before and after, the script's model, the rows.
    """
    split = made.dataset.split(7)
    x = np.random.default_rng(1).normal(size=(96, split.x_train.shape[1])).astype("f4")
    y = np.random.default_rng(2).integers(0, CLASSES, 96).astype("i4")
    data = DeviceData(*(keras.ops.convert_to_tensor(part) for part in (x, y, x, y)))
    shape = (Inputs(x.shape[1]), CLASSES, "classification", data.rows, False)
    structure = Structure(shaping_items(stack), *shape, network=made.network)
    program = (FitProgram if made.network.fit else Program)(structure, stack)
    program.reset(stack, 1, data)
    start, rate = program.plain(program.weights()), stack["optimizer.learning_rate"]
    order = np.arange(96, dtype="int32").reshape(-1, BATCH)
    for epoch in (1, 2):
        rates, factor = np.full(len(order), rate, "f4"), own_rate(stack, epoch)
        program.epoch(stack, data, order, rates, None, epoch, pretrained=factor)
    ours, original = program.plain(program.weights()), keras.Model.fit

    def fit(model: Any, *args: Any, callbacks: Any, **options: Any) -> Any:
        model.set_weights(start)
        model.jit_compile = False
        used = [each for each in callbacks if type(each).__name__ == "Thawing"]
        asked = {"batch_size": BATCH, "epochs": 2, "shuffle": False, "verbose": 0}
        return original(model, x, y, callbacks=used, **asked)

    monkeypatch.setattr(keras.Model, "fit", fit)
    return start, ours, made.names["train"](x, y, x, y), x


@pytest.mark.parametrize("choice", ["frozen", "thawed", "fresh"])
def test_the_script_takes_layers_of_a_saved_model(
    choice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen, thawed after an epoch at a lower rate, or fresh, they get the engine's weights."""
    model = saved_model()
    model.save(tmp_path / "train.saved.keras")
    stack = STACKS["bounded"].but(network__pretrained=choice, optimizer="sgd")
    if choice == "thawed":
        stack = stack.but(network__pretrained_frozen=1, network__pretrained_rate_factor=0.3)
    file = str(tmp_path / "train.saved.keras")
    text = taking(file, 'layer="mean", unfreeze_after=1')
    made = Exported("build", stack, tmp_path, text=text, files=((file, read_saved(file)),))
    start, ours, theirs, _ = both_trained(made, stack, monkeypatch)
    for mine, other in zip(ours, theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
    lower = model.get_layer("lower").get_weights()[0]
    place = next(k for k, weights in enumerate(start) if weights.shape == lower.shape)
    assert np.array_equal(start[place], lower) == (choice != "fresh")
    assert np.array_equal(start[place], ours[place]) == (choice == "frozen")


FLIPPING = (
    FLIPPING_MODEL
    + """

def flipping(stack, inputs, outputs):
    x = keras.layers.Flatten()(stack.conv2d(3, 3)(inputs))
    return Flipping(inputs, stack.head(outputs)(x))
"""
)


COUNTING = FLIPPING.replace(
    "class Flipping",
    """class Counting(keras.layers.Layer):
    calls = 0

    def call(self, x):
        self.calls += 1
        return x


class Flipping""",
).replace("3)(inputs))", "3)(Counting()(inputs)))")


@pytest.mark.parametrize("eager", [False, True])
def test_the_script_trains_by_the_steps_of_the_users_own_model(
    eager: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training step that mirrors its rows gives the weights of the study's training by `fit`,
    also where a layer in Python is the reason for it."""
    stack, text = STACKS["bounded"].but(optimizer="sgd"), COUNTING if eager else FLIPPING
    more: dict[str, Any] = {"fit": "a reason", "defines": "train_step", "eager": eager}
    made = Exported("flipping", stack, tmp_path, text=text, **more)
    start, ours, model, _ = both_trained(made, stack, monkeypatch)
    for mine, theirs in zip(ours, model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    assert any(not np.allclose(a, b, atol=1e-3) for a, b in zip(start, ours, strict=True))
    monkeypatch.undo()
    plain = Exported("flipping", stack, tmp_path, text=text.replace("[:, ::-1]", ""), **more)
    _, others, *_ = both_trained(plain, stack, monkeypatch)
    assert any(not np.allclose(a, b, atol=1e-3) for a, b in zip(others, ours, strict=True))


def built_with(made: Exported, stack: Stack, weights: list[np.ndarray]) -> Any:
    """The network of Keras's layers with some weights."""
    model = built(made.network, stack, CLASSES).model
    model.set_weights(weights)
    return model


@pytest.mark.parametrize("refit", [None, Refit(7, 2, ())])
@pytest.mark.parametrize("kind", [*RANDOM])
def test_the_script_runs_from_its_own_data(
    kind: str, refit: Refit | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With dropout, averages and changing strengths it trains and prints finite test figures."""
    made = Exported("nested", RANDOM[kind], tmp_path, refit)
    made.names["sys"] = SimpleNamespace(argv=["train.py"])
    made.names["main"]()
    words = capsys.readouterr().out.split()
    assert words[:2] == ["seed", "7:"]
    assert np.isfinite(float(words[4].rstrip(",")))


def test_the_script_divides_a_tables_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each input has the features of its columns, as the study's network has."""
    rng, good = np.random.default_rng(0), np.arange(ROWS) % 2
    gaps = np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(size=ROWS))
    frame = pd.DataFrame({"price": gaps, "shop": rng.choice(["a", "b"], ROWS)})
    frame = frame.assign(length=rng.normal(size=ROWS) + 3 * good, good=good)
    frame.to_csv(tmp_path / "reviews.csv", index=False)
    dataset = load(str(tmp_path / "reviews.csv"), "good")
    found = inputs_of(dataset, ["text=length"])
    code = (ROOT / "docs/examples/reviews.py").read_text("utf-8")
    network = OwnNetwork("reviews.py", "build", code, found.shapes, found.places)
    stack = Stack.of(batch_size=8, network__units=16)
    spec = StudySpec("s", dataset.describe(), {}, epochs=6, network=network)
    (tmp_path / "train.network.py").write_text(code, "utf-8")
    names: dict[str, Any] = {"__name__": "script", "__file__": str(tmp_path / "train.py")}
    text = script(dataset, spec, stack, [7], {})
    exec(compile(text, "train.py", "exec", dont_inherit=True), names)
    x = rng.normal(size=(5, dataset.features)).astype("f4")
    theirs, ours = names["build"](dataset.features), built(network, stack, 2).model
    theirs.set_weights(ours.get_weights())
    expected = keras.ops.softmax(ours(x, training=False))
    np.testing.assert_allclose(theirs(x, training=False), expected, rtol=1e-5, atol=1e-6)
    names["sys"] = SimpleNamespace(argv=["train.py"])
    names["main"]()
    assert float(capsys.readouterr().out.split()[-1]) > 0.7


@pytest.mark.parametrize("name", ["lenet", "two"])
def test_the_script_standardises_by_channel(name: str, tmp_path: Path) -> None:
    """Means and deviations are those with which the study standardises its inputs."""
    from trainstack.search.data.channels import by_channel

    made = Exported(name, STACKS["bounded"], tmp_path)
    split = made.dataset.split(7)
    expected: Any = by_channel(split, [shape for _, shape in made.network.inputs]).preparation
    mean, deviation = made.names["channels"](split.x_train)
    np.testing.assert_allclose(mean, expected.shift, rtol=1e-5)
    np.testing.assert_allclose(deviation, expected.scale, rtol=1e-5)


def test_the_scripts_kernels_have_the_fans_of_their_kind(tmp_path: Path) -> None:
    """A depthwise kernel counts the positions of one channel; other layers are Keras's."""
    made = Exported("lenet", Stack.of(activation="relu", initializer="he_normal"), tmp_path)
    keras.utils.set_random_seed(0)
    stack = made.names["Stack"]()
    stack.separable_conv2d(64, 5)(keras.Input((8, 8, 64)))
    stack.dense(400)(keras.Input((300,)))
    for kernel in stack.kernels:
        made.names["rescale"](kernel)
    depthwise, pointwise, dense = (kernel.variable.numpy() for kernel in stack.kernels)
    for kernel, fan in ((depthwise, 25), (pointwise, 64), (dense, 300)):
        assert kernel.var() == pytest.approx(2 / fan, rel=0.1)


def test_the_scripts_are_formatted_and_clean(tmp_path: Path) -> None:
    """A formatter changes nothing in the scripts, and a linter finds nothing."""
    folder = tmp_path / "code"
    folder.mkdir()
    for number, stack in enumerate((*STACKS.values(), *RANDOM.values())):
        for name in ("lenet", "two"):
            text = Exported(name, stack, tmp_path).text
            (folder / f"train_{name}_{number}.py").write_text(text, "utf-8")
    file, thawed = tmp_path / "train.saved.keras", {"network__pretrained": "thawed"}
    saved_model().save(file)
    thawed |= {"network__pretrained_frozen": 1, "network__pretrained_rate_factor": 0.3}
    taken = {"text": taking(file), "files": ((str(file), read_saved(str(file))),)}
    steps = {"text": FLIPPING, "fit": "a reason", "defines": "train_step"}
    for number, stack in enumerate(STACKS.values()):
        made = Exported("build", stack.but(**thawed), tmp_path, **taken)
        (folder / f"train_taking_{number}.py").write_text(made.text, "utf-8")
        made = Exported("flipping", stack, tmp_path, **steps)
        (folder / f"train_flipping_{number}.py").write_text(made.text, "utf-8")
    ruff = (sys.executable, "-m", "ruff")
    options = ("--isolated", "--line-length=100", str(folder))
    rules = ("--select=E,W,F,I,N,UP,SIM,C4,RET,PIE", "--ignore=E501")
    for command in (("format", "--diff", *options), ("check", *rules, *options)):
        done = subprocess.run((*ruff, *command), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
