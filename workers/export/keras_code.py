"""The recommended stack as plain, readable Keras code."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from trainstack.search.data.generated_code import python_lines
from trainstack.search.spec import StudySpec
from trainstack.spaces.choices import Call
from trainstack.spaces.initializers import INITIALIZERS
from trainstack.spaces.optimizers import OPTIMIZERS
from trainstack.spaces.schedules import SCHEDULES, patience_epochs
from trainstack.spaces.stack import Stack
from trainstack.spaces.stopping import stopping_of
from trainstack.workers.engine.model_plan import Block, Node, plan
from trainstack.workers.export.code_parts import (
    BACKEND,
    CLASSIFY,
    MAIN,
    MOMENTUM,
    MOVED,
    REGRESS,
    RRELU,
    SCHEDULE,
    SETTINGS,
    STOPPING,
)
from trainstack.workers.export.code_style import call, fit, import_block, quoted, split_imports
from trainstack.workers.messages import Kept


def script(
    dataset: Any,
    spec: StudySpec,
    stack: Stack,
    runs: list[Kept],
    measured: Mapping[str, Any],
) -> str:
    """Write the training script: data, preprocessing, network, training, test figures.

    Args:
        dataset: The loaded data, whose loading is printed as plain code.
        spec: The study's specification.
        stack: The recommended stack.
        runs: The confirmation runs, whose seeds the script repeats.
        measured: The recorded test figures, for comparison.

    Returns:
        A program that needs only Keras, TensorFlow, scikit-learn and NumPy (pandas for tables).
    """
    classification = spec.data.task == "classification"
    data_imports, data = split_imports(python_lines(dataset))
    planned = stack.planned_epochs(spec.epochs)
    schedule = _schedule(stack)
    imports = [
        *("import os", "import sys", "from functools import partial", "import keras"),
        *("from sklearn.preprocessing import StandardScaler", *data_imports),
    ]
    if any("math." in part for part in schedule):
        imports.append("import math")
    main = MAIN.format(rest=CLASSIFY if classification else REGRESS)
    parts = [
        "\n\n".join(
            [_header(spec, measured), _imports(imports), SETTINGS, _numbers(spec, stack, runs)]
        ),
        _load_data(data),
        *([RRELU] if stack["activation"] == "rrelu" else []),
        *schedule,
        *_stopping(stack, planned),
        _build(stack, spec),
        _train(stack, classification, planned),
        main,
    ]
    lines = "\n\n\n".join(part.strip("\n") for part in parts).splitlines()
    return "\n".join(broken for line in lines for broken in fit(quoted(line))) + "\n"


def _stepped(stack: Stack) -> bool:
    """Return whether the rate is a function of the step."""
    return stack["schedule"] != "constant" and not SCHEDULES[stack["schedule"]].reacts


def _cycled(stack: Stack) -> bool:
    """Return whether the schedule also changes the optimizer's momentum."""
    moves = SCHEDULES[stack["schedule"]].momentum is not None
    return moves and OPTIMIZERS[stack["optimizer"]].cycles is not None


def _header(spec: StudySpec, measured: Mapping[str, Any]) -> str:
    name = spec.data.source.rsplit("/", 1)[-1]
    name = (
        name if name.isprintable() and len(name) <= 50 and not {*name} & {*'"\\'} else "your data"
    )
    lines = [
        f'"""Trains the stack recommended for {name}.',
        "",
        "Run it with a number to repeat that many seeds: `python train.py 5`.",
    ]
    for what, values in measured.get("test", {}).items():
        figures = ", ".join(f"{v:.4f}" for v in values[:5])
        lines.append(f"Recorded test {what} per seed: {figures}{', …' if values[5:] else ''}")
    return "\n".join([*lines, '"""'])


def _imports(imports: list[str]) -> str:
    """Return the imports, with Keras's backend set before those of other packages."""
    lines = import_block(imports)
    place = lines.index("")
    return "\n".join([*lines[:place], "", BACKEND, *lines[place:]])


def _numbers(spec: StudySpec, stack: Stack, runs: list[Kept]) -> str:
    lines = [
        f"EPOCHS = {stack.planned_epochs(spec.epochs)}",
        f"LEARNING_RATE = {stack['optimizer.learning_rate']!r}",
    ]
    if _stepped(stack):
        lines.append(f"SCHEDULE = {stack.numbers('schedule')!r}")
    lines += ["# Seeds of weights, batches and the split.", f"SEEDS = {[run.seed for run in runs]}"]
    return "\n".join(lines)


def _load_data(lines: list[str]) -> str:
    body = "\n".join(f"    {line}".rstrip() for line in lines)
    names = "x_train, y_train, x_valid, y_valid, x_test, y_test"
    return f"def load_data(seed):\n{body}\n    return {names}"


def _schedule(stack: Stack) -> list[str]:
    """Return the schedule's function and the callback that applies it, if there is one."""
    if not _stepped(stack):
        return []
    row, cycled = SCHEDULES[stack["schedule"]], _cycled(stack)
    callback = SCHEDULE.format(factor=row.factor.__name__)
    parts = [_source(row.factor)]
    if cycled and row.momentum is not None:
        moved = MOVED.format(momentum=row.momentum.__name__)
        callback = callback.replace("        self.step += 1", moved)
        parts += [_source(row.momentum), MOMENTUM]
    return [*parts, callback]


def _stopping(stack: Stack, planned: int) -> list[str]:
    """Return the callback of a stopping rule that waits for the rate to fall, if it does."""
    from_epoch = stopping_of(stack, planned).from_epoch
    return [STOPPING.format(from_epoch=from_epoch)] if from_epoch else []


def _source(function: Any) -> str:
    """Return a function's source without the annotations that need this package."""
    source = inspect.getsource(function).strip()
    return f"def {function.__name__}(step, steps, p):" + source.split("-> float:", 1)[1]


def _expression(value: Any) -> str:
    if not isinstance(value, Call):
        return repr(value)
    named = next((name for name, row in INITIALIZERS.items() if row.call == value), None)
    if named is not None:
        return repr(named)
    return call(
        f"keras.{value.path}", [f"{k}={_expression(v)}" for k, v in value.arguments.items()]
    )


def _layer(node: Node) -> str:
    """Return a layer's source text; hidden dense layers call the script's `hidden`."""
    if node.role == "dense":
        return f"hidden({node.arguments['units']})"
    prefix = "" if node.path == "RReLU" else "keras."
    return call(prefix + node.path, [f"{k}={_expression(v)}" for k, v in node.arguments.items()])


def _merged(block: Block) -> tuple[Block, str | None]:
    """Move a plain activation into the dense layer before it, as is common in Keras code."""
    dense, *others = block.nodes
    if not others or others[0].path != "layers.Activation":
        return block, None
    activation = others[0].arguments["activation"]
    return dataclasses.replace(block, nodes=(dense, *others[1:])), activation


def _build(stack: Stack, spec: StudySpec) -> str:
    network = plan(stack, spec.data.features, spec.data.outputs)
    merged = [_merged(block) for block in network.blocks]
    dense, activation = merged[0][0].nodes[0], merged[0][1]
    arguments = {k: _expression(v) for k, v in dense.arguments.items() if k != "units"}
    if activation is not None:
        arguments = {"activation": repr(activation), **arguments}
    shared = [f"{k}={v}" for k, v in arguments.items()]
    lines = [
        "def build(features):",
        f"    {call('hidden = partial', ['keras.layers.Dense', *shared])}",
        "    inputs = x = keras.Input((features,))",
        *(f"    x = {_layer(node)}(x)" for node in network.entry),
    ]
    for _, run in groupby([block for block, _ in merged], key=_shape):
        lines += _blocks(list(run))
    head = ["activation='softmax'"] if spec.data.task == "classification" else []
    head = call("keras.layers.Dense", [str(network.head.arguments["units"]), *head])
    return "\n".join(
        [*lines, f"    outputs = {head}(x)", "    return keras.Model(inputs, outputs)"]
    )


def _shape(block: Block) -> Any:
    """Return the parts that blocks written as one loop share: everything but the width."""
    return block.residual, block.nodes[1:]


def _blocks(blocks: list[Block]) -> list[str]:
    """Write hidden layers that differ only in width, as a loop if there are several."""
    widths = [block.nodes[0].arguments["units"] for block in blocks]
    head, width, indent = [], str(widths[0]), "    "
    if len(blocks) > 1:
        indent = "        "
        if len(set(widths)) == 1:
            head = [f"    for _ in range({len(widths)}):"]
        else:
            head, width = [f"    for units in {widths}:"], "units"
    first, *others = [_layer(node) for node in blocks[0].nodes]
    first = f"hidden({width})" if blocks[0].nodes[0].role == "dense" else first
    body = [f"{indent}x = {layer}(x)" for layer in (first, *others)]
    if blocks[0].residual:
        body = [f"{indent}before = x", *body, f"{indent}x = keras.layers.Add()([before, x])"]
    return [*head, *body]


def _train(stack: Stack, classification: bool, planned: int) -> str:
    loss, metrics, watched = (
        (
            "sparse_categorical_crossentropy",
            '["accuracy", keras.metrics.SparseCategoricalCrossentropy(name="crossentropy")]',
            "'val_crossentropy'",
        )
        if classification
        else ("mean_squared_error", "['mean_squared_error']", "'val_mean_squared_error'")
    )
    rule = stopping_of(stack, planned)
    patience = "EPOCHS" if stack["stopping"] == "none" else rule.patience_epochs
    stop = [watched, f"patience={patience}", "mode='min'", "restore_best_weights=True"]
    name = "Stopping" if rule.from_epoch else "keras.callbacks.EarlyStopping"
    callbacks = [call(name, stop)]
    if _stepped(stack):
        callbacks.append("Schedule()")
    elif SCHEDULES[stack["schedule"]].reacts:
        numbers = stack.numbers("schedule")
        wait = patience_epochs(numbers["patience"], planned)
        shrink = [f"factor={numbers['factor']!r}", f"patience={wait}"]
        arguments = [watched, *shrink, "mode='min'", "min_delta=0.0"]
        callbacks.append(call("keras.callbacks.ReduceLROnPlateau", arguments))
    fit_arguments = [
        *("x_train", "y_train", f"batch_size={stack['batch_size']}", "epochs=EPOCHS"),
        *("validation_data=(x_valid, y_valid)", "callbacks=callbacks", "verbose=0"),
    ]
    lines = [
        "model = build(x_train.shape[1])",
        f"optimizer = {_optimizer(stack)}",
        *(["optimizer.momentum = Momentum(0.95, trainable=False)"] if _cycled(stack) else []),
        f"metrics = {metrics}",
        f"model.compile(optimizer, {loss!r}, metrics=metrics)",
        f"callbacks = [{', '.join(callbacks)}]",
        call("model.fit", fit_arguments),
        "return model",
    ]
    return "\n".join(
        ["def train(x_train, y_train, x_valid, y_valid):", *(f"    {x}" for x in lines)]
    )


def _optimizer(stack: Stack) -> str:
    row = OPTIMIZERS[stack["optimizer"]]
    keywords = row.call.keywords(stack.numbers("optimizer"))
    shown = {k: repr(v) for k, v in keywords.items()} | {"learning_rate": "LEARNING_RATE"}
    if stack["clipping"] != "none":
        how = {"value": "clipvalue", "norm": "global_clipnorm"}[stack["clipping"]]
        shown[how] = repr(stack["clipping.limit"])
    return call(f"keras.{row.call.path}", [f"{k}={v}" for k, v in shown.items()])
