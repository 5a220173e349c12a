"""The recommended stack as the plain Keras code that a reader would have written."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from search.data.pythoncode import python_lines

from search.spec import StudySpec
from spaces.optimizers import OPTIMIZERS
from spaces.schedules import SCHEDULES
from spaces.stack import Stack
from spaces.tables import Call
from workers.messages import Kept
from workers.plan import Node, plan

_RRELU = '''
class RReLU(keras.layers.Layer):
    """Leaky ReLU with a random slope in training and the mean slope afterwards."""

    def __init__(self, lower, upper):
        super().__init__()
        self.lower, self.upper = lower, upper

    def call(self, x, training=False):
        slope = (self.lower + self.upper) / 2
        if training:
            slope = keras.random.uniform(keras.ops.shape(x), self.lower, self.upper)
        return keras.ops.where(x >= 0, x, slope * x)
'''

_SCHEDULED = '''
class Schedule(keras.callbacks.Callback):
    """Sets the learning rate before each step."""

    def on_train_begin(self, logs=None):
        self.step = 0

    def on_train_batch_begin(self, batch, logs=None):
        total = EPOCHS * self.params["steps"]
        self.model.optimizer.learning_rate = LEARNING_RATE * {name}(self.step, total, {numbers})
{momentum}        self.step += 1
'''

_MOMENTUM = """        momentum.assign({name}(self.step, total, {numbers}))
"""

_KNOB = '''
class Knob(keras.Variable):
    """A momentum that may change while training; Keras asks only whether it is zero."""

    def __ne__(self, other):
        return True

    __hash__ = keras.Variable.__hash__


momentum = Knob(0.9, trainable=False)
'''


def script(
    dataset: Any,
    spec: StudySpec,
    stack: Stack,
    runs: list[Kept],
    measured: Mapping[str, Any],
) -> str:
    """Write the training script: data, preprocessing, network, training, test figures.

    Args:
        dataset: The loaded data (its loading as plain code is printed).
        spec: What the study asked.
        stack: What is recommended.
        runs: The confirmation runs, whose seeds the script repeats.
        measured: The test figures on record, for comparison.

    Returns:
        A program that needs Keras, TensorFlow, scikit-learn and NumPy (pandas for tables) alone.
    """
    classification = spec.data.task == "classification"
    schedule = SCHEDULES[stack["schedule"]]
    stepped = stack["schedule"] != "constant" and not schedule.reacts
    cycled = stepped and schedule.momentum is not None and bool(_cycles(stack))
    parts = [
        _header(spec, measured),
        "import sys\n\nimport keras\nimport numpy as np\n",
        f"EPOCHS = {spec.epochs}\nLEARNING_RATE = {stack['optimizer.learning_rate']!r}\n"
        f"SEEDS = {[run.seed for run in runs]}  # of weights, batches and the split\n",
        _load_data(dataset),
    ]
    if stack["activation"] == "rrelu":
        parts.append(_RRELU)
    if cycled:
        parts.append(_KNOB)
    if stepped:
        parts.append(_schedule(stack, cycled))
    parts += [
        _build(stack, spec),
        _train(stack, classification, stepped, cycled),
        _main(classification),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _cycles(stack: Stack) -> str | None:
    return OPTIMIZERS[stack["optimizer"]].cycles


def _header(spec: StudySpec, measured: Mapping[str, Any]) -> str:
    lines = [
        f'"""Trains the stack recommended for {spec.data.source.rsplit("/", 1)[-1]!r}.',
        "",
        "Run it with a number to repeat that many seeds: `python train.py 5`.",
    ]
    for name, values in measured.get("test", {}).items():
        figures = ", ".join(f"{v:.4f}" for v in values)
        lines.append(f"Test {name} on record, a figure a seed: {figures}.")
    return "\n".join([*lines, '"""'])


def _load_data(dataset: Any) -> str:
    body = "\n".join(f"    {line}".rstrip() for line in python_lines(dataset))
    names = "x_train, y_train, x_valid, y_valid, x_test, y_test"
    return f"def load_data(seed):\n{body}\n    return {names}"


def _schedule(stack: Stack, cycled: bool) -> str:
    row = SCHEDULES[stack["schedule"]]
    functions = [row.factor] + ([row.momentum] if cycled and row.momentum else [])
    sources = [_source(function) for function in functions]
    numbers = repr(stack.numbers("schedule"))
    moved = ""
    if cycled and row.momentum:
        moved = _MOMENTUM.format(name=row.momentum.__name__, numbers=numbers)
    text = _SCHEDULED.format(name=row.factor.__name__, numbers=numbers, momentum=moved)
    uses_math = any("math." in source for source in sources)
    return ("import math\n\n\n" if uses_math else "") + "\n\n".join([*sources, text.strip("\n")])


def _source(function: Any) -> str:
    """The function's own source, without the annotations that need this package."""
    source = inspect.getsource(function).strip()
    head = f"def {function.__name__}(step, steps, p):"
    return head + source.split("-> float:", 1)[1]


def _expression(value: Any) -> str:
    if isinstance(value, Call):
        inner = ", ".join(f"{k}={_expression(v)}" for k, v in value.arguments.items())
        return f"keras.{value.path}({inner})"
    return repr(value)


def _layer(node: Node) -> str:
    inner = ", ".join(f"{k}={_expression(v)}" for k, v in node.arguments.items())
    prefix = "" if node.path == "RReLU" else "keras."
    return f"{prefix}{node.path}({inner})"


def _build(stack: Stack, spec: StudySpec) -> str:
    network = plan(stack, spec.data.features, spec.data.outputs)
    lines = ["def build(features):", "    inputs = x = keras.Input((features,))"]
    lines += [f"    x = {_layer(node)}(x)" for node in network.entry]
    blocks = list(network.blocks)
    place = 0
    while place < len(blocks):
        same = 1
        while place + same < len(blocks) and blocks[place + same] == blocks[place]:
            same += 1
        indent = "    "
        if same > 1:
            lines.append(f"    for _ in range({same}):")
            indent = "        "
        block = blocks[place]
        if block.residual:
            lines.append(f"{indent}before = x")
        lines += [f"{indent}x = {_layer(node)}(x)" for node in block.nodes]
        if block.residual:
            lines.append(f"{indent}x = keras.layers.Add()([before, x])")
        place += same
    head = network.head
    arguments = dict(head.arguments)
    if spec.data.task == "classification":
        arguments["activation"] = "softmax"
    lines.append(f"    outputs = {_layer(Node('head', head.path, arguments))}(x)")
    lines.append("    return keras.Model(inputs, outputs)")
    return "\n".join(lines)


def _train(stack: Stack, classification: bool, stepped: bool, cycled: bool) -> str:
    row = OPTIMIZERS[stack["optimizer"]]
    keywords = row.call.keywords(stack.numbers("optimizer"))
    shown = {k: repr(v) for k, v in keywords.items()} | {"learning_rate": "LEARNING_RATE"}
    if stack["clipping"] == "value":
        shown["clipvalue"] = repr(stack["clipping.limit"])
    elif stack["clipping"] == "norm":
        shown["global_clipnorm"] = repr(stack["clipping.limit"])
    inner = ", ".join(f"{k}={v}" for k, v in shown.items())
    if classification:
        loss = "sparse_categorical_crossentropy"
        metrics = '["accuracy", keras.metrics.SparseCategoricalCrossentropy(name="crossentropy")]'
        watched = "val_crossentropy"
    else:
        loss, metrics, watched = "mean_squared_error", '["mean_squared_error"]', ""
        watched = "val_mean_squared_error"
    callbacks = [
        f'keras.callbacks.EarlyStopping("{watched}", patience={stack["patience"]}, mode="min", '
        "restore_best_weights=True),"
    ]
    if stepped:
        callbacks.append("Schedule(),")
    elif stack["schedule"] == "performance":
        callbacks.append(
            f'keras.callbacks.ReduceLROnPlateau("{watched}", factor={stack["schedule.factor"]!r}, '
            f'patience={stack["schedule.patience"]}, mode="min", min_delta=0.0),'
        )
    listed = "\n".join(f"        {callback}" for callback in callbacks)
    # The watched metric is the loss without weight penalties: penalties are no part of the score.
    return f"""def train(x_train, y_train, x_valid, y_valid):
    model = build(x_train.shape[1])
    optimizer = keras.optimizers.{row.call.path.rsplit(".", 1)[-1]}({inner})
{"    optimizer.momentum = momentum" + chr(10) if cycled else ""}    model.compile(
        optimizer,
        "{loss}",
        metrics={metrics},
    )
    callbacks = [
{listed}
    ]
    model.fit(
        x_train, y_train, batch_size={stack["batch_size"]}, epochs=EPOCHS, verbose=0,
        validation_data=(x_valid, y_valid), callbacks=callbacks,
    )
    return model"""


def _main(classification: bool) -> str:
    if classification:
        target = ""
        figures = """    loss, accuracy, _ = model.evaluate(x_test, y_test, batch_size=1024, verbose=0)
    print(f"seed {seed}: test loss {loss_without_penalties(model, x_test, y_test):.4f}, "
          f"test accuracy {accuracy:.4f}")"""
        extra = """def loss_without_penalties(model, x, y):
    p = model.predict(x, batch_size=1024, verbose=0)
    return -np.log(np.clip(p[np.arange(len(y)), y], 1e-12, 1.0)).mean()


"""
    else:
        target = """    y_mean, y_scale = y_train.mean(), y_train.std()
    y_train, y_valid = (y_train - y_mean) / y_scale, (y_valid - y_mean) / y_scale
"""
        figures = """    prediction = model.predict(x_test, verbose=0)[:, 0] * y_scale + y_mean
    print(f"seed {seed}: test rmse {np.sqrt(np.mean((prediction - y_test) ** 2)):.4f}")"""
        extra = ""
    return f"""{extra}for seed in SEEDS[: int(sys.argv[1]) if len(sys.argv) > 1 else 1]:
    x_train, y_train, x_valid, y_valid, x_test, y_test = load_data(seed)
    mean, scale = x_train.mean(axis=0), x_train.std(axis=0)
    scale[scale == 0] = 1.0
    x_train, x_valid, x_test = ((x - mean) / scale for x in (x_train, x_valid, x_test))
{target}    keras.utils.set_random_seed(seed)
    model = train(x_train, y_train, x_valid, y_valid)
{figures}"""
