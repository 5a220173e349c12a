"""The exported script trains with the study's metric, loss and weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainstack.search.cli.question import question
from trainstack.search.data.load import load
from trainstack.search.data.weighting import weighted
from trainstack.search.payloads import Refit
from trainstack.search.spec import StudySpec
from trainstack.spaces.references import CHAPTER_DEFAULT
from trainstack.workers.export.keras_code import script
from trainstack.workers.tasks.metrics import Scorer

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("one_trace")]
STACK = CHAPTER_DEFAULT.but(units=[4], batch_size=32)
SEED = 3
OWN = "import numpy as np\n\n\ndef cost(y, p, w):\n    return np.average(p[:, 0], weights=w)\n"


def dataset(folder: Path, task: str, weight: str | None) -> Any:
    """Return a table with a target and weights."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 160))
    y = np.where(a > 0.3, "rare", "usual") if task == "classification" else np.exp(a)
    frame = pd.DataFrame({"a": a, "b": b, "y": y, "w": rng.integers(1, 5, 160)})
    frame.to_csv(folder / "rows.csv", index=False)
    return load(str(folder / "rows.csv"), "y", task, weight=weight)


CASES = {
    "roc_auc, balanced": ("classification", "roc_auc", None, "balanced"),
    "own, classes": ("classification", "own", None, '{"rare": 4}'),
    "ece, focal": ("classification", "ece", "focal", None),
    "the usual, weighted": ("classification", None, None, None),
    "mae": ("regression", "mae", None, None),
    "counts": ("regression", "poisson_deviance", None, None),
}


@pytest.mark.parametrize("name", CASES)
def test_the_script_trains_what_was_asked(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints the metric on the test rows, and its weights are those of the study."""
    task, metric, loss, class_weight = CASES[name]
    if metric == "own":
        (tmp_path / "costs.py").write_text(OWN, "utf-8")
        metric = f"{tmp_path}/costs.py:cost"
    data = dataset(tmp_path, task, "w")
    asked = question(data, metric, loss, class_weight)
    spec = StudySpec("s", data.describe(), {"axes": {}}, epochs=2, **asked)
    text = script(data, spec, STACK, [SEED], {})
    program: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "train.py", "exec"), program)
    split = weighted(data.split(SEED), spec.class_weight, spec.data.classes)
    *_, w_train, w_valid, w_test = loaded = program["load_data"](SEED)
    _, y_train, _, y_valid, _, y_test = loaded[:6]
    found = program["weights"](y_train, w_train, (y_valid, w_valid), (y_test, w_test))
    for part, mine in zip(("train", "valid", "test"), found, strict=True):
        np.testing.assert_allclose(mine, split.weights(part))
    program["sys"].argv = ["train.py"]
    program["main"]()
    assert f"seed {SEED}: test {spec.asked.name} " in capsys.readouterr().out
    refit = script(data, spec, STACK, [SEED], {}, Refit(SEED, 2))
    exec(compile(refit, "train.py", "exec"), program)
    y_train, _, _, w_train, _ = program["load_data"]()[1:]
    whole = weighted(data.whole(), spec.class_weight, spec.data.classes)
    np.testing.assert_allclose(program["weights"](y_train, w_train)[0], whole.weights("train"))
    program["main"]()
    assert f"seed {SEED}: test {spec.asked.name} " in capsys.readouterr().out


@pytest.mark.parametrize("target", ["price", "price,rent"])
def test_the_schedule_watches_the_loss_in_the_targets_unit(target: str, tmp_path: Path) -> None:
    """As in the study: networks are trained on logarithms, the metric is another one."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 160))
    columns = {"a": a, "b": b, "w": rng.integers(1, 5, 160), "price": np.exp(a), "rent": np.exp(b)}
    kept = {k: v for k, v in columns.items() if k in "a,b,w," + target}
    pd.DataFrame(kept).to_csv(tmp_path / "rows.csv", index=False)
    data = load(str(tmp_path / "rows.csv"), target, transform="log", weight="w")
    spec = StudySpec(
        *("s", data.describe(), {"axes": {}}), epochs=3, **question(data, "mae", None, None)
    )
    text = script(data, spec, STACK, [SEED], {})
    assert re.search(r"ReduceLROnPlateau\(\s*\"val_unit_error\"", text)
    models: list[Any] = []
    program: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "train.py", "exec"), program)
    train = program["train"]
    program["train"] = lambda *given: models.append(train(*given)) or models[-1]
    program["sys"].argv = ["train.py"]
    program["main"]()
    split = weighted(data.split(SEED), spec.class_weight, ())
    outputs = models[0].predict(split.prepared().x_valid, verbose=0)
    scorer = Scorer.of(spec, split)
    loss = scorer.figures(scorer.answers(outputs), "valid")["loss"]
    watched = models[0].history.history["val_unit_error"]
    assert min(abs(np.array(watched) - loss)) < 1e-5 * loss


SEVERAL = {
    "labels, f1": ("wet,cold", "f1_macro", None, "none"),
    "labels, ece, focal": ("wet,cold", "ece", "focal", "none"),
    "labels, own": ("wet,cold", "own", None, "none"),
    "quantities, mae": ("price,rent", "mae", None, "none"),
    "quantities, counts": ("price,rent", "poisson_deviance", None, "none"),
    "logarithms, mae": ("price,rent", "mae", None, "log"),
    "a logarithm, mae": ("price", "mae", None, "log"),
    "arrays of labels, f1": ("wet,cold", "f1_macro", None, "none"),
    "arrays of logarithms, mae": ("price,rent", "mae", None, "log"),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_the_script_scores_several_targets_as_the_study_does(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its metric of any predictions is the study's, and it trains and prints a finite one."""
    target, metric, loss, transform = SEVERAL[name]
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 160))
    columns = {"wet": a > 0.3, "cold": b > 0, "price": np.exp(a), "rent": np.exp(b)}
    asked_for = {k: v for k, v in columns.items() if k in target}
    if name.startswith("arrays"):
        y = np.column_stack([*asked_for.values()])
        np.savez(tmp_path / "rows.npz", x_train=np.column_stack([a, b]), y_train=y)
        data = load(str(tmp_path / "rows.npz"), transform=transform)
    else:
        pd.DataFrame({"a": a, "b": b, **asked_for}).to_csv(tmp_path / "rows.csv", index=False)
        data = load(str(tmp_path / "rows.csv"), target, transform=transform)
    if metric == "own":
        (tmp_path / "costs.py").write_text(OWN, "utf-8")
        metric = f"{tmp_path}/costs.py:cost"
    spec = StudySpec(
        *("s", data.describe(), {"axes": {}}), epochs=2, **question(data, metric, loss, None)
    )
    program: dict[str, Any] = {"__name__": "script"}
    exec(
        compile(script(data, spec, STACK, [SEED], {}), "train.py", "exec"),
        program,
    )
    y, w = data.y, rng.uniform(1, 2, 160)
    p = np.clip(0.6 * y + 0.3 * rng.uniform(size=y.shape), 0.01, None)
    assert program["score"](y, p, w) == pytest.approx(spec.asked.value(y, p, w), rel=1e-9)
    program["sys"].argv = ["train.py"]
    program["main"]()
    said = capsys.readouterr().out
    assert f"seed {SEED}: test {spec.asked.name} " in said
    assert np.isfinite(float(said.split()[-1]))


SMOOTHED = {
    "labels": ("wet,cold", None),
    "labels, focal": ("wet,cold", "focal"),
    "classes": ("kind", None),
    "classes, focal": ("kind", "focal"),
}


def losses_of(y: np.ndarray, p: np.ndarray, focal: bool, share: float = 0.0) -> np.ndarray:
    """Return the loss of each row's labels, with a share of it that of every class."""
    chances = np.stack([1 - p, p], axis=2) if y.ndim == 2 else p[:, None]
    entropies = -np.log(chances.astype("f8"))
    each = entropies * (1 - np.exp(-entropies)) ** 2 if focal else entropies
    own = np.take_along_axis(each, y.reshape(len(y), -1, 1).astype(int), 2)[..., 0]
    return ((1 - share) * own + share * each.mean(axis=2)).mean(axis=1)


@pytest.mark.parametrize("name", SMOOTHED)
def test_the_script_trains_with_smoothed_labels(name: str, tmp_path: Path) -> None:
    """Its training loss is the formula's; the loss that it watches is not smoothed."""
    target, loss = SMOOTHED[name]
    a, b = np.random.default_rng(0).normal(size=(2, 160))
    kind = np.where(a > 0.5, "high", np.where(a < -0.5, "low", "usual"))
    columns = {"wet": a > 0.3, "cold": b > 0, "kind": kind}
    kept = {k: v for k, v in columns.items() if k in target}
    pd.DataFrame({"a": a, "b": b, **kept}).to_csv(tmp_path / "rows.csv", index=False)
    data = load(str(tmp_path / "rows.csv"), target)
    metric = "ece" if loss else None
    spec = StudySpec(
        *("s", data.describe(), {"axes": {}}), epochs=2, **question(data, metric, loss, None)
    )
    text = script(data, spec, STACK.but(label_smoothing=0.2), [SEED], {})
    program: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "train.py", "exec"), program)
    x_train, y, x_valid, y_valid = program["load_data"](SEED)[:4]
    p = np.random.default_rng(1).uniform(0.1, 0.9, (len(y), 3 - y.ndim + 1)).astype("f4")
    p = p if y.ndim == 2 else p / p.sum(axis=1, keepdims=True)
    found = program["smoothed"](y.astype("f4"), p).numpy()
    np.testing.assert_allclose(found, losses_of(y, p, bool(loss), 0.2), rtol=1e-4)
    weights = [np.ones(len(part)) for part in (y, y_valid)] if loss else []
    model = program["train"](x_train, y, x_valid, y_valid, *weights)
    plain = losses_of(y_valid, model.predict(x_valid, verbose=0), bool(loss)).mean()
    watched = {k: v for k, v in model.history.history.items() if k.startswith("val_")}
    del watched["val_loss"]
    assert min(abs(np.array([*watched.values()]).ravel() - plain)) < 1e-5 * plain
