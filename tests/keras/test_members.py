"""Members of a network that share its hidden layers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax

from tests.support.engine_stacks import BASE, made_up_data, program_of, structure_of
from tests.support.target_tables import TARGETS, written
from trainstack.search.data.inputs import Inputs
from trainstack.search.folds import SplitId
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.build import plain_model
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.layer_statistics import look_inside
from trainstack.workers.engine.members import combined
from trainstack.workers.engine.program import Program
from trainstack.workers.export.model import export_model
from trainstack.workers.tasks.jobs import JobBench
from trainstack.workers.tasks.prediction import monte_carlo

pytestmark = pytest.mark.keras

COUNT, BATCH, RATE = 4, 16, 0.05
SHARED = Stack.of(
    **{"units": [7, 5], "activation": "relu", "initializer": "he_normal", "batch_size": BATCH},
    **{"optimizer": "sgd", "optimizer__learning_rate": RATE, "clipping": "none"},
    **{"members": "shared", "members__count": COUNT},
)


def test_the_prediction_of_members_is_the_mean_of_theirs() -> None:
    """Mean probabilities of classes and labels, mean counts, and mean numbers, as in NumPy."""
    z = np.random.default_rng(0).normal(size=(6, COUNT, 3)) * 3
    outputs = tf.constant(z, tf.float32)

    def found(loss: str, task: str) -> np.ndarray:
        return combined(outputs, loss, task).numpy()

    for loss in ("cross_entropy", "focal"):
        ours = softmax(found(loss, "classification"), axis=-1)
        np.testing.assert_allclose(ours, softmax(z, axis=-1).mean(axis=1), rtol=1e-5)
        ours = expit(found(loss, "multilabel"))
        np.testing.assert_allclose(ours, expit(z).mean(axis=1), rtol=1e-5)
    ours = np.exp(found("poisson", "regression"))
    np.testing.assert_allclose(ours, np.exp(z).mean(axis=1), rtol=1e-5)
    for loss in ("squared", "absolute", "huber"):
        ours = found(loss, "regression")
        np.testing.assert_allclose(ours, z.mean(axis=1), rtol=1e-5, atol=1e-6)


def test_far_outputs_stay_finite() -> None:
    """Members that are sure give finite joint logits."""
    outputs = tf.constant([[[300.0, -300.0], [200.0, -400.0]]])
    for task in ("classification", "multilabel"):
        assert np.isfinite(combined(outputs, "cross_entropy", task).numpy()).all()


def by_hand(x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """Return the members' outputs, [N, members, K], from the model's weights."""
    scales, first, b, second, c, heads, d = weights
    answers = []
    for member in range(COUNT):
        hidden = np.maximum(x * scales[member] @ first + b, 0)
        hidden = np.maximum(hidden @ second + c, 0)
        answers.append(hidden @ heads[member] + d[member])
    return np.stack(answers, axis=1)


def test_members_share_the_hidden_layers_and_start_apart() -> None:
    """Outputs are those written in NumPy; scales start with random signs, heads differ."""
    program = program_of(SHARED)
    program.reset(SHARED, 5)
    weights, x = program.weights(), made_up_data("classification")[0]
    assert set(np.unique(weights[0])) == {-1.0, 1.0}
    assert len({head.tobytes() for head in weights[-2]}) == COUNT
    limit = (6 / (5 + 3)) ** 0.5  # Glorot's for each head
    assert 0.8 * limit < np.abs(weights[-2]).max() <= limit
    np.testing.assert_allclose(
        softmax(program.outputs(x), axis=-1),
        softmax(by_hand(x, weights), axis=-1).mean(axis=1),
        rtol=1e-4,
    )
    program.reset(SHARED, 6)
    assert (program.weights()[0] != weights[0]).any()


# Of tabm 0.0.3 with torch 2.14.1, the package of the paper's authors:
#   m = tabm.TabM.make(n_num_features=3, d_out=3, k=2, arch_type="tabm-mini", n_blocks=2, d_block=4)
#   for p in m.eval().parameters():
#       p.data = torch.sin(torch.arange(1.0, p.numel() + 1)).reshape(p.shape)
#   y = m(torch.cos(torch.arange(12.0)).reshape(4, 3))
#   torch.softmax(y, -1).mean(1), y.mean(1)
THEIRS = {
    "classification": [
        [0.4343008, 0.3973229, 0.1683763],
        [0.4047784, 0.4013638, 0.1938579],
        [0.4683075, 0.3739462, 0.1577463],
        [0.4176104, 0.3941033, 0.1882863],
    ],
    "regression": [
        [1.4006224, 1.3189536, 0.024645],
        [1.1199647, 1.1996343, 0.1763657],
        [1.3910971, 1.1623554, -0.1350506],
        [1.0782968, 1.0969908, 0.1071168],
    ],
}


@pytest.mark.parametrize("task", THEIRS)
def test_outputs_are_those_of_the_authors_package(task: str) -> None:
    """With the same weights the joint prediction is that of the package's TabM-mini."""
    stack = SHARED.but(units=[4, 4], members__count=2)
    structure = replace(structure_of(stack, task), inputs=Inputs(3), outputs=3)
    program = Program(structure, stack)
    ours = []
    for place, weight in enumerate(program.weights()):
        wave = np.sin(np.arange(1.0, weight.size + 1, dtype=np.float32))
        hidden = place in (1, 3)  # the package's kernels are [outputs, inputs]
        ours.append(wave.reshape(weight.T.shape).T if hidden else wave.reshape(weight.shape))
    program.set_weights(ours)
    found = program.outputs(np.cos(np.arange(12, dtype=np.float32)).reshape(4, 3))
    if task == "classification":
        found = softmax(found, axis=-1)
    np.testing.assert_allclose(found, THEIRS[task], rtol=1e-5)


def test_scales_start_with_as_many_signs_of_each_kind() -> None:
    """Of 16,000 numbers about half are 1, the rest -1 (tabm 0.0.3: 8,039 and 7,961 by seed 0)."""
    stack = SHARED.but(members__count=32)
    program = Program(replace(structure_of(stack, "classification"), inputs=Inputs(500)), stack)
    program.reset(stack, 5)
    scales = program.weights()[0]
    assert scales.shape == (32, 500)
    assert set(np.unique(scales)) == {-1.0, 1.0}
    assert abs(scales.mean()) < 4 / scales.size**0.5


def test_members_share_trained_slopes() -> None:
    """PReLU has one slope per unit, whatever the number of members."""
    program = program_of(SHARED.but(activation="prelu"))
    slopes = [v.shape for v in program.model.variables if v.name == "alpha"]
    assert slopes == [(1, 7), (1, 5)]


# XLA compiles the weighted loss, of which the other one is a part.
@pytest.mark.parametrize(("compiled", "weighted"), [(False, False), (False, True), (True, True)])
@pytest.mark.parametrize("task", ["classification", "multilabel", "regression", "regressions"])
def test_training_minimises_the_mean_of_the_members_losses(
    task: str, compiled: bool, weighted: bool
) -> None:
    """After an epoch the weights equal those of `fit` on Keras's layers with that loss."""
    x, y = made_up_data(task)
    w = np.random.default_rng(1).uniform(0.1, 2.0, len(x)).astype(np.float32)
    program = Program(structure_of(SHARED, task, compiled), SHARED)
    program.reset(SHARED, 5)
    model = plain_model(SHARED, Inputs(x.shape[1]), program.structure.outputs)
    model.set_weights(program.weights())
    order = np.random.default_rng(2).permutation(len(x))[: len(x) // BATCH * BATCH]
    order = order.astype(np.int32).reshape(-1, BATCH)
    parts = [tf.constant(part) for part in (x, y, x, y)]
    masses = [tf.constant(w)] * 2 if weighted else [None, None]
    rates = np.full(len(order), RATE, np.float32)
    found = program.epoch(SHARED, DeviceData(*parts, *masses), order, rates, None, key=1)

    def loss(truth: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        each = []
        for member in range(COUNT):
            mine = outputs[:, member]
            if task == "classification":
                one = keras.losses.sparse_categorical_crossentropy(truth, mine, from_logits=True)
            elif task == "multilabel":
                one = keras.losses.binary_crossentropy(truth, mine, from_logits=True)
            else:
                one = keras.losses.mean_squared_error(tf.reshape(truth, tf.shape(mine)), mine)
            each.append(one)
        return tf.add_n(each) / COUNT

    model.compile(keras.optimizers.SGD(RATE), loss, jit_compile=False)
    rows = order.ravel()
    mass = w[rows] if weighted else None
    fitted = model.fit(
        x[rows], y[rows], batch_size=BATCH, shuffle=False, sample_weight=mass, verbose=0
    )
    for a, b in zip(program.weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    if not weighted:
        assert found.train_loss == pytest.approx(fitted.history["loss"][0], rel=1e-4)


def test_validation_measures_the_joint_prediction() -> None:
    """Its loss and its accuracy are those of the mean probabilities, in slices of few rows, too."""
    x, y = made_up_data("classification")
    program = program_of(SHARED)
    program.slice_rows = 100
    program.reset(SHARED, 5)
    data = DeviceData(*(tf.constant(part) for part in (x, y, x, y)))
    order = np.arange(BATCH, dtype=np.int32)[None]
    found = program.epoch(SHARED, data, order, np.full(1, RATE, np.float32), None, key=1)
    chances = softmax(by_hand(x, program.weights()), axis=-1).mean(axis=1)
    expected = -np.log(chances[np.arange(len(y)), y]).mean()
    assert found.valid_loss == pytest.approx(expected, rel=1e-5)
    assert found.metric == pytest.approx((chances.argmax(1) == y).mean(), abs=1e-6)
    program.settle()
    assert program.loss(x, y) == pytest.approx(expected, rel=1e-5)


def test_masks_of_dropout_differ_between_members() -> None:
    """With equal scales and heads the members still answer differently while dropout is on."""
    stack = SHARED.but(dropout="hidden", dropout__rate=0.5)
    program = program_of(stack)
    program.reset(stack, 5)
    weights = program.weights()
    weights[0][:], weights[-2][:] = weights[0][0], weights[-2][0]
    program.set_weights(weights)
    x = tf.constant(made_up_data("classification")[0])
    program.context.rate, program.context.key = tf.constant(0.5), tf.constant(3, tf.uint32)
    program.context.monte_carlo = True
    outputs: Any = program.model(x, training=False)
    program.context.monte_carlo = False
    assert float(tf.reduce_max(tf.abs(outputs[:, 0] - outputs[:, 1]))) > 0.1
    averages = monte_carlo(program, stack, x.numpy(), (5, 400), seed=1)
    sure = softmax(program.outputs(x.numpy()), axis=-1)
    assert averages[400].sum(axis=1) == pytest.approx(np.ones(len(sure)), rel=1e-4)
    assert np.abs(averages[400] - sure).mean() < np.abs(averages[5] - sure).mean() + 0.02


def test_mixed_precision_trains_members() -> None:
    """With products in bfloat16 the first loss is near that in float32."""
    x, y = made_up_data("classification")
    data = DeviceData(*(tf.constant(part) for part in (x, y, x, y)))
    order, rates = np.arange(BATCH, dtype=np.int32)[None], np.full(1, RATE, np.float32)
    losses = []
    for precision in ("float32", "mixed"):
        structure = replace(structure_of(SHARED, "classification"), precision=precision)
        program = Program(structure, SHARED)
        program.reset(SHARED, 5)
        losses.append(program.epoch(SHARED, data, order, rates, None, key=1).train_loss)
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1] != losses[0]


def test_statistics_of_layers_are_those_of_all_members() -> None:
    """Mean and deviation are over rows, members and units; gradients are of the mean loss."""
    x, y = made_up_data("classification")
    data = DeviceData(*(tf.constant(part) for part in (x, y, x, y)))
    program = program_of(SHARED)
    program.reset(SHARED, 5)
    layers = look_inside(program, SHARED, data)
    scales, first, b, *_ = program.weights()
    rows = x[:256, None] * scales
    hidden = np.maximum(rows @ first + b, 0)
    assert layers[0]["mean"] == pytest.approx(hidden.mean(), rel=1e-4)
    assert layers[0]["deviation"] == pytest.approx(hidden.std(), rel=1e-4)
    assert all(layer["gradient_norm"] > 0 for layer in layers)


def test_calibration_is_over_all_members() -> None:
    """Fitted to rows, the first layer's products have deviation 1 over rows and members."""
    stack = SHARED.but(bias="data", calibration="weights")
    x, y = made_up_data("classification")
    data = DeviceData(*(tf.constant(part) for part in (x, y, x, y)))
    program = program_of(stack)
    program.reset(stack, 5, data)
    scales, first, *_ = program.weights()
    products = (x[:, None] * scales @ first).reshape(-1, 7)
    np.testing.assert_allclose(products.std(axis=0), 1.0, rtol=1e-3)


@pytest.mark.parametrize("name", TARGETS)
def test_the_exported_model_gives_the_engines_predictions(name: str, tmp_path: Path) -> None:
    """Loaded by Keras alone, it averages the members' probabilities or quantities."""
    data = written(name, tmp_path)
    spec = StudySpec("m", data, {}, epochs=3)
    bench = JobBench(spec, 0, str(tmp_path))
    split, held = bench.split(SplitId(0), SHARED)
    program, _ = bench.program(SHARED, held, 3)
    program.reset(SHARED, 5, held)
    export_model(bench, SHARED, program, split).save(tmp_path / "model.keras")
    ours = program.outputs(split.prepare(split.x_test))
    if name == "classes":
        ours = softmax(ours, axis=-1)
    elif name == "labels":
        ours = expit(ours)
    elif name == "number":
        ours = ours * split.y_scale + split.y_mean
    else:
        logs = np.log(split.y_train)
        ours = np.exp(ours * logs.std() + logs.mean())
    model: Any = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(model(split.x_test), ours, rtol=1e-4)


def test_one_network_has_no_members() -> None:
    """The usual stack has no layer of members, and its outputs are taken as they are."""
    program = program_of(BASE)
    assert not any("member" in layer.name for layer in program.model.layers)
    outputs = tf.zeros((2, 3))
    assert program.combined(outputs) is outputs
