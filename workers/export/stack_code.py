"""A stack as the values of `templates/stack.py.jinja`: layers and training as source text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from trainstack.search.data.preparation import CONSTANTS, FUNCTIONS
from trainstack.search.payloads import Refit
from trainstack.search.spec import StudySpec
from trainstack.spaces.averagings import averaged_epochs
from trainstack.spaces.initializers import INITIALIZERS
from trainstack.spaces.network_space import filled, held
from trainstack.spaces.optimizers import OPTIMIZERS
from trainstack.spaces.pretrainings import frozen_epochs, pretraining_epochs
from trainstack.spaces.schedules import (
    SCHEDULES,
    constant,
    patience_epochs,
    regularizer_strength,
)
from trainstack.spaces.stack import Stack
from trainstack.spaces.stopping import stopping_of
from trainstack.workers.engine.corruption import BLOCK, corrupted
from trainstack.workers.engine.embeddings import BIN_ROWS, EMBEDDED, bins_of
from trainstack.workers.engine.initial_weights import COMBINED, ROWS, is_fitted
from trainstack.workers.engine.model_plan import NTK, NTK_HEAD, Node, Plan, plan
from trainstack.workers.engine.pretraining import TASKS
from trainstack.workers.engine.saved_layers import dense_layers
from trainstack.workers.export.expressions import keywords
from trainstack.workers.export.own_network import own_network, thawing

# Layers whose class a script brings along, the last two only if the rate of dropout changes.
_OWN = ("RReLU", "layers.Dropout", "layers.AlphaDropout")


def stack_values(
    dataset: Any, spec: StudySpec, stack: Stack, refit: Refit | None
) -> dict[str, Any]:
    """Return what the templates say of a stack.

    Args:
        dataset: The loaded data.
        spec: The study's specification.
        stack: The stack.
        refit: How it is trained on all rows that are not for testing; None: with a validation
            part.
    """
    if spec.network is not None:
        stack = filled(held(stack), spec.network_numbers or {})
    planned = stack.planned_epochs(spec.epochs)
    schedule, optimizer = SCHEDULES[stack["schedule"]], OPTIMIZERS[stack["optimizer"]]
    scheduled = _scheduled(stack)
    network = plan(stack, dataset.inputs, spec.data.outputs)
    return {
        "stack": stack,
        "smooths": spec.data.task != "regression" and stack["label_smoothing"] > 0.0,
        "preparation_constants": CONSTANTS.get(stack["preparation"], {}),
        "preparation_functions": FUNCTIONS.get(stack["preparation"], ()),
        "epochs": planned,
        "refit": refit,
        "decay": stack.get("decay.weight_decay", stack.get("optimizer.weight_decay")),
        "scheduled": scheduled,
        "averaged_epochs": averaged_epochs(stack.get("averaging.share", 0.0), planned),
        "regularizer_strength": regularizer_strength,
        "lowered_after": list(refit.lowered_after) if refit and schedule.reacts else [],
        "network": _network(network, spec.data.outputs, _OWN if scheduled else ("RReLU",)),
        "own": None if spec.network is None else own_network(spec.network, stack),
        "undecayed": _names(network),
        "rates": _rates(network, stack),
        "initial": _initial(stack),
        "pretraining": _pretraining(stack, planned) or thawing(stack, planned),
        "reused_file": spec.reused.file if spec.reused else "",
        "dense_layers": dense_layers,
        "unlabelled": stack["pretraining"] in TASKS and dataset.unlabelled is not None,
        "corrupted": corrupted,
        "corruption_block": BLOCK,
        "categories": dataset.inputs.categories,
        "optimizer": optimizer.call.path,
        "optimizer_numbers": optimizer.call.keywords(stack.numbers("optimizer")),
        "stopping": stopping_of(stack, planned),
        "embedded": EMBEDDED,
        "bins_of": bins_of,
        "bin_rows": f":: -(-len(x_train) // {BIN_ROWS})" if dataset.rows > BIN_ROWS else ":",
        "numbers": dataset.inputs.numbers,
        "embedded_columns": [
            f"{first}:{end}"
            for node in network.entry
            if node.role == "categories"
            for first, end in node.arguments["columns"]
        ],
        "factor": None if schedule.factor is constant else schedule.factor,
        "momentum": None if optimizer.cycles is None else schedule.momentum,
        "plateau_patience": (
            schedule.reacts and patience_epochs(stack["schedule.patience"], planned)
        ),
    }


def _scheduled(stack: Stack) -> list[str]:
    """Return the regularizers whose strength changes."""
    if stack["regularizer_schedule"] == "constant":
        return []
    decays = stack["decay"] != "none" or stack["optimizer"] == "adamw"
    return ["dropout"] * (stack["dropout"] != "none") + ["decay"] * decays


def _network(network: Plan, outputs: int, own: Sequence[str]) -> dict[str, Any]:
    """Return the layers as source text; hidden layers that differ only in width are a group.

    Args:
        network: The plan of layers.
        outputs: Width of the head.
        own: Paths of layers whose class the script brings along.
    """
    dense, *others = network.blocks[0].nodes
    # A plain activation is an argument of the dense layer before it, as is common in Keras code.
    merged = bool(others) and others[0].path == "layers.Activation"
    shared = {**(others[0].arguments if merged else {}), **dense.arguments}
    alike = groupby(network.blocks, key=lambda block: (block.residual, block.nodes[1:]))
    return {
        "ntk": network.head.path in (NTK, NTK_HEAD),
        "shared": keywords({name: shared[name] for name in shared if name != "units"}),
        "functions": [node.path for node in network.entry if node.path in EMBEDDED],
        "entry": [_applied(node, own) for node in network.entry],
        "hidden": [
            {
                "widths": [block.nodes[0].arguments["units"] for block in blocks],
                "residual": residual,
                "layers": [_layer(node, own) for node in (nodes[1:] if merged else nodes)],
            }
            for (residual, nodes), blocks in alike
        ],
        "outputs": outputs,
        "head": _head(network.head),
    }


def _layer(node: Node, own: Sequence[str]) -> str:
    path = node.path.split(".")[-1] if node.path in own else f"keras.{node.path}"
    signs = ", kernel_initializer=signs" if node.role == "members" else ""
    return f"{path}({keywords(node.arguments)}{signs})"


def _head(node: Node) -> str:
    """Return the head's layer up to its last arguments."""
    path = node.path if node.path in (NTK, NTK_HEAD) else f"keras.{node.path}"
    first = {"units", "kernel_initializer"}
    usual = node.arguments["kernel_initializer"] == INITIALIZERS["glorot_uniform"].call
    found = {k: v for k, v in node.arguments.items() if k not in first}
    if not usual:
        found["kernel_initializer"] = node.arguments["kernel_initializer"]
    units = [repr(node.arguments["units"])] if "units" in node.arguments else []
    return f"{path}({', '.join([*units, *([keywords(found)] if found else [])])}"


def _applied(node: Node, own: Sequence[str]) -> str:
    """Return the call of a node's layer, or of its function, on `x`."""
    if node.path in EMBEDDED:  # the script brings this function along
        return f"{node.path}(x, {keywords(node.arguments)})"
    return f"{_layer(node, own)}(x)"


def _names(network: Plan) -> list[str]:
    """Return the names of the layers before the first block that have weights."""
    found = [str(node.arguments["name"]) for node in network.entry if "name" in node.arguments]
    paths = [path for node in network.entry for path in node.rates if "/" in path]
    return [*dict.fromkeys([*(path.split("/")[0] for path in paths), *found])]


def _rates(network: Plan, stack: Stack) -> dict[str, float]:
    """Return the end of a weight's path in Keras → the factor on its learning rate.

    The first end that fits a weight counts: those of an embedding precede that of all biases. The
    dictionary is empty if every factor is 1.
    """
    found = {
        weight if "/" in weight else f"{node.arguments.get('name', '')}/{weight}": stack[key]
        for node in network.nodes
        for weight, key in node.rates.items()
    }
    return found if any(rate != 1.0 for rate in found.values()) else {}


def _initial(stack: Stack) -> dict[str, Any] | None:
    """Return how initial weights are set, beyond initializers; None if no choice needs it."""
    fitted = is_fitted(stack)
    if not fitted and stack["bias"] == "zeros":
        return None
    return {"fitted": fitted, "rows": ROWS, "combined": COMBINED}


def _pretraining(stack: Stack, planned: int) -> dict[str, Any] | None:
    """Return the numbers of pretraining, its epochs as whole numbers; None if there is none."""
    if stack["pretraining"] == "none":
        return None
    numbers = stack.numbers("pretraining")
    found = {
        "layers": min(numbers["layers"], len(stack.units)),
        "frozen": frozen_epochs(numbers["frozen"], planned),
        "rate_factor": numbers["rate_factor"],
    }
    if stack["pretraining"] == "reuse":
        return found
    epochs = pretraining_epochs(numbers["length"], planned)
    return {**numbers, **found, "epochs": epochs}
