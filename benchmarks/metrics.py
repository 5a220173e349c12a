"""The cost of a metric: an epoch that ends with the area under the ROC curve."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.table import Row
from trainstack.search.data.part import Part
from trainstack.search.data.splitting import make_split
from trainstack.search.metrics.table import METRICS
from trainstack.spaces.stack import Stack
from trainstack.workers.engine.device_data import DeviceData
from trainstack.workers.engine.objective import Objective
from trainstack.workers.engine.program import Program
from trainstack.workers.engine.rates import RateMaker
from trainstack.workers.engine.streaming import put
from trainstack.workers.engine.structure import Structure, shaping_items
from trainstack.workers.engine.training import batch_order

ROWS, VALID, FEATURES, EPOCHS = 5_000, 1_250, 64, 60


def area_cost() -> Row:
    """Return the cost of an epoch with AUC against one with log loss; both take turns.

    The data is as wide as digits and has two classes; the network has two layers of 64.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS + 2 * VALID, FEATURES)).astype(np.float32)
    y = (x[:, 0] + rng.normal(size=len(x)) > 0).astype(np.int32)
    ends = (slice(0, ROWS), slice(ROWS, ROWS + VALID), slice(ROWS + VALID, None))
    names = tuple(f"x{k}" for k in range(FEATURES))
    parts = [Part(x[part], y[part]) for part in ends]
    split = make_split(*parts, task="classification", columns=names, vocabulary={})
    data = put(split, 1 << 30, DeviceData)
    stack = Stack.of(units=[64, 64], batch_size=32)
    steps = ROWS // 32
    rates = RateMaker(stack, steps, EPOCHS).rates(1)
    subjects = []
    for name in ("log_loss", "roc_auc"):
        objective = Objective(METRICS[name], name == "log_loss", split)
        key = (shaping_items(stack), data.layout, 2, "classification", data.rows, True)
        program = Program(Structure(*key, answers=not objective.is_loss), stack)
        program.reset(stack, 0)
        subjects.append((program, objective))
    taken: list[list[float]] = [[], []]
    for epoch in range(1, EPOCHS + 1):
        order = batch_order(0, epoch, ROWS, steps, 32)
        for (program, objective), found in zip(subjects, taken, strict=True):
            began = time.perf_counter()
            objective(program.epoch(stack, data, order, rates, None, epoch))
            found.append(time.perf_counter() - began)
    usual, area = (1e3 * float(np.median(found[5:])) for found in taken)
    what = f"epoch of {ROWS} rows, 64-64, batch 32, by AUC against log loss"
    ours, theirs = f"{area:.2f} ms", f"{usual:.2f} ms"
    return Row(what, ours, theirs, 100.0 * (area / usual - 1.0), 5.0, least=False, unit="%")
