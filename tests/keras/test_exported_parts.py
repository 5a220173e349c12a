"""The parts of the exported script compute what the engine computes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.exported_scripts import SMALL, STACKS, arrays, executed, written
from trainstack.search.data.inputs import Inputs
from trainstack.search.data.load import load
from trainstack.search.payloads import Refit
from trainstack.spaces.references import REFERENCES
from trainstack.spaces.schedules import SCHEDULES
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import plain_model
from trainstack.workers.engine.corruption import corrupted
from trainstack.workers.engine.rates import RateMaker

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("one_trace")]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return arrays(tmp_path_factory.mktemp("small"))


@pytest.mark.parametrize("name", [*STACKS, *REFERENCES])
def test_the_scripts_network_is_the_plain_model(name: str, small: Any) -> None:
    """The script's network has the plain model's weights and gives its softmax."""
    stack = {**STACKS, **REFERENCES}[name]
    theirs = executed(written(small, stack))["build"](4)
    ours = plain_model(stack, Inputs(4), 3)
    assert [w.shape for w in theirs.weights] == [w.shape for w in ours.weights]
    ntk = stack["parametrization"] == "ntk"  # the script's kernels are larger by √inputs
    names = [weight.path for weight in ours.weights]
    roots = [  # of the dense kernels
        weight.shape[-2] ** 0.5 if ntk and weight.ndim > 1 and "scale" not in path else 1.0
        for path, weight in zip(names, ours.get_weights(), strict=True)
    ]
    theirs.set_weights([w * root for w, root in zip(ours.get_weights(), roots, strict=True)])
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    chances = keras.ops.softmax(ours(x, training=False))
    chances = keras.ops.mean(chances, axis=1) if stack["members"] != "one" else chances
    np.testing.assert_allclose(theirs(x, training=False), chances, rtol=1e-5, atol=1e-6)
    losses = [float(sum(map(np.sum, model.losses))) for model in (ours, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_the_script_trains_independent_members_as_alone(small: Any) -> None:
    """After a step each member has the weights that Keras alone gives one network of its own."""
    stack = Stack.of(
        **{"members": "independent", "members__count": 3, "penalty": "l2"},
        **{"optimizer": "sgd", "optimizer__learning_rate": 0.5},
        **{"clipping": "norm", "clipping__limit": 0.05, **SMALL},
    )
    names, one = executed(written(small, stack)), stack.but(members="one")
    model, rate = names["build"](4), stack["optimizer.learning_rate"]
    x_train, y_train, *_ = names["load_data"](7)
    x, y = x_train[:16], y_train[:16]
    singles = []
    for member in model.members:
        single = plain_model(one, Inputs(4), 3)
        single.set_weights(member.get_weights())
        optimizer = keras.optimizers.SGD(rate, global_clipnorm=0.05)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        single.compile(optimizer, loss, jit_compile=False)
        single.fit(x, y, batch_size=16, verbose=0)
        singles.append(single)
    before = model.get_weights()
    model.compile(names["Clipped"](rate), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(x, y, batch_size=16, verbose=0)
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    for member, single in zip(model.members, singles, strict=True):
        for a, b in zip(member.get_weights(), single.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_scripts_factors_apply_to_the_steps_of_fit(small: Any) -> None:
    """With its factor set to 0 the script trains kernels and leaves biases at 0."""
    names = executed(written(small, STACKS["biases at a tenth of the rate"]))
    assert names["RATES"] == {"/bias": 0.1}
    names["RATES"]["/bias"] = 0.0
    names["load_data"](7)
    model = names["train"](*names["load_data"](7)[:4])
    biases = [w for w in model.trainable_weights if w.name == "bias"]
    assert len(biases) == 3
    assert all((bias.numpy() == 0).all() for bias in biases)
    assert np.abs(model.optimizer.variables[2]).max() > 0


def test_the_script_freezes_pretrained_layers(small: Any) -> None:
    """Its autoencoder trains the hidden layers, which keep these weights until they are thawed."""
    text = written(small, STACKS["autoencoder"], epochs=4)
    names = executed(text)
    found: list[list[np.ndarray]] = []
    pretrain = names["pretrain"]

    def watched(model: keras.Model, x: np.ndarray) -> Any:
        found.append(model.get_weights())
        paths = pretrain(model, x)
        found.append(model.get_weights())
        return paths

    names["pretrain"] = watched
    model = names["train"](*names["load_data"](7)[:4])
    fresh, start, end = (*found, model.get_weights())
    for place, (a, b, c) in enumerate(zip(fresh, start, end, strict=True)):
        assert np.array_equal(a, b) == (place >= 4)
        assert np.array_equal(b, c) == (place < 4)
    assert len(start) == 6
    names = executed(text.replace("if epoch == 4", "if epoch == 0"))
    names["pretrain"] = watched
    model = names["train"](*names["load_data"](7)[:4])
    assert not any(map(np.array_equal, found[-1], model.get_weights()))


def test_the_script_corrupts_as_the_engine_does(small: Any) -> None:
    """Its rows are ours from the same numbers, and only the lower layers are trained on them."""
    names = executed(written(small, STACKS["auxiliary, ntk"], epochs=4))
    x = np.random.default_rng(0).normal(size=(90, 4)).astype(np.float32)
    ours, theirs = (
        f(x, 0.3, (2,), np.random.default_rng(1)) for f in (corrupted, names["corrupted"])
    )
    np.testing.assert_array_equal(ours, theirs)
    model = names["build"](4)
    fresh = model.get_weights()
    assert len(names["pretrain"](model, x)) == 2
    changed = [not np.array_equal(a, b) for a, b in zip(fresh, model.get_weights(), strict=True)]
    assert changed == [True] * 2 + [False] * 4


def test_the_script_pretrains_on_rows_without_a_target(tmp_path: Path) -> None:
    """The autoencoder has them besides the training rows, all prepared as those are."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)), np.arange(60) % 3
    np.savez(tmp_path / "u.npz", x_train=x, y_train=y, x_unlabelled=5 + x[:30])
    data = load(str(tmp_path / "u.npz"))
    for seconds in ({}, {"refit": Refit(seed=3, epochs=2)}):
        text = written(data, STACKS["autoencoder"], **seconds)
        names = executed(text)
        seen: list[np.ndarray] = []
        pretrain = names["pretrain"]
        names["pretrain"] = lambda model, x, p=pretrain, seen=seen: seen.append(x) or p(model, x)
        names["sys"].argv = ["train.py"]
        names["main"]()
        split = data.whole() if seconds else data.split(7)
        both = np.concatenate([split.x_unlabelled, split.x_train])
        np.testing.assert_allclose(seen[0], split.prepare(both), rtol=1e-4, atol=1e-5)
    assert "x_unlabelled, " not in written(data, STACKS["ntk alone"])


@pytest.mark.parametrize("name", ["fitted weights", "fitted weights, ntk"])
def test_the_script_fits_initial_weights(name: str, small: Any) -> None:
    """Before training, the first layer's products have deviation 1 over the training rows, and its
    biases are minus values among them."""
    names = executed(written(small, STACKS[name]))
    x = np.random.default_rng(0).normal(size=(90, 4)).astype(np.float32) * 3 + 1
    model = names["build"](4)
    names["set_initial_weights"](model, x)
    first, second, head = (w for w in model.layers if isinstance(w, keras.layers.Dense))
    if name == "fitted weights, ntk":  # batch normalization's fresh averages; ntk
        x = x / 1.001**0.5 / 2
    products = x @ first.kernel.numpy()
    np.testing.assert_allclose(products.std(axis=0), 1.0, rtol=1e-3)
    biases = -first.bias.numpy()
    assert (products.min(axis=0) <= biases).all()
    assert (biases <= products.max(axis=0)).all()
    assert (second.bias.numpy() != 0).all()
    assert (head.bias.numpy() == 0).all()


@pytest.mark.parametrize("name", [n for n, row in SCHEDULES.items() if not row.reacts])
def test_the_scripts_rates_are_the_engines(name: str, small: Any) -> None:
    """At every step the script's callback sets the engine's rate and momentum."""
    stack = Stack.of(optimizer="nesterov", schedule=name)
    names = executed(written(small, stack, epochs=3))
    maker = RateMaker(stack, 5, 3)
    if name == "constant":
        assert "Schedule" not in names
        assert names["LEARNING_RATE"] == pytest.approx(maker.rates(3)[0])
        return
    moved: list[float] = []
    momentum = SimpleNamespace(assign=moved.append)
    optimizer = SimpleNamespace(learning_rate=None, momentum=momentum)
    callback = names["Schedule"]()
    callback.set_params({"steps": 5})
    callback.set_model(SimpleNamespace(optimizer=optimizer))
    rates = []
    for batch in range(15):
        callback.on_train_batch_begin(batch)
        rates.append(optimizer.learning_rate)
    assert rates == pytest.approx(np.concatenate([maker.rates(e) for e in (1, 2, 3)]), rel=1e-6)
    if maker.momenta(1) is not None:
        expected = np.concatenate([np.asarray(maker.momenta(e)) for e in (1, 2, 3)])
        assert moved == pytest.approx(expected, rel=1e-6)


def test_the_scripts_regularizers_fall_as_the_engines(small: Any) -> None:
    """At every step the script's strength is the engine's, and dropout and decay follow it."""
    stack = STACKS["falling alpha dropout, decay"].but(activation="elu", initializer="he_normal")
    names = executed(written(small, stack, epochs=3))
    maker, decay = RateMaker(stack, 5, 3), keras.Variable(0.0)
    callback, found = names["Strength"](), []
    callback.set_params({"steps": 5})
    callback.set_model(SimpleNamespace(optimizer=SimpleNamespace(weight_decay=decay)))
    for batch in range(15):
        callback.on_train_batch_begin(batch)
        found.append((float(names["STRENGTH"]), float(decay)))
    strengths = np.concatenate([np.asarray(maker.strengths(e)) for e in (1, 2, 3)])
    expected = [(s, s * stack["decay.weight_decay"]) for s in strengths]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    names["STRENGTH"].assign(0.5)
    kept = np.asarray(names["Dropout"](0.4)(np.ones((500, 200), "f4"), training=True))
    assert set(np.unique(kept.round(5))) == {0.0, 1.25}  # at half the rate
    assert (kept == 0).mean() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("refit", [None, Refit(7, 4)])
@pytest.mark.parametrize("name", ["moving average", "mean of the last epochs"])
def test_the_scripts_averages_are_the_engines(name: str, refit: Refit | None, small: Any) -> None:
    """Given the weights after each step, its callback measures and keeps the engine's averages."""
    stack, steps, epochs = STACKS[name], 5, 4
    names = executed(written(small, stack, epochs=epochs, refit=refit))
    callback, maker = names["Averaging"](), RateMaker(stack, steps, epochs)
    held: list[Any] = [[np.zeros(2)]]
    model = SimpleNamespace(get_weights=lambda: held[-1], set_weights=held.append)
    callback.set_model(model)
    path = np.random.default_rng(0).normal(size=(epochs, steps, 2))
    mean = np.zeros(2)
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch)
        if epoch:
            np.testing.assert_array_equal(held[-1][0], path[epoch - 1, -1])
        kept = maker.kept(epoch + 1)
        assert kept is not None
        for batch in range(steps):
            held.append([path[epoch, batch]])
            callback.on_train_batch_end(batch)
            mean = kept[batch] * mean + (1 - kept[batch]) * path[epoch, batch]
        callback.on_test_begin()
        callback.on_epoch_end(epoch)
        np.testing.assert_allclose(held[-1][0], mean, rtol=1e-5)


def test_the_script_keeps_the_averaged_weights(small: Any) -> None:
    """The weights that early stopping restores are those that were measured best."""
    names = executed(written(small, STACKS["moving average"], epochs=3))
    x_train, y_train, x_valid, y_valid, *_ = names["load_data"](7)
    model = names["train"](x_train, y_train, x_valid, y_valid)
    p = model.predict(x_valid, verbose=0)[np.arange(len(y_valid)), y_valid]
    watched = model.history.history["val_crossentropy"]
    assert min(watched) == pytest.approx(-np.log(p).mean(), rel=1e-5)
