"""The exported script of an ensemble: several stacks, one weighted prediction."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, root_mean_squared_error

from tests.keras.test_exported_average import CASES, rows
from tests.support.exported_scripts import STACKS, arrays, executed
from tests.support.own_networks import CODE
from trainstack.search.cli.question import question
from trainstack.search.data.load import load
from trainstack.search.data.own_inputs import inputs_of
from trainstack.search.own_network import OwnNetwork
from trainstack.search.payloads import Refit
from trainstack.search.spec import StudySpec
from trainstack.spaces.stack import Stack
from trainstack.workers.export.joint import joined
from trainstack.workers.export.keras_code import ensemble_script
from trainstack.workers.export.model import export_model
from trainstack.workers.tasks.jobs import JobBench
from trainstack.workers.tasks.models import predictions
from trainstack.workers.tasks.refit import refitted

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("one_trace")]

# Each with classes, functions or numbers of its own in the script.
MEMBERS = (
    (Stack.of(units=[8], batch_size=16, schedule="1cycle", optimizer="adam"), Refit(7, 2), 3),
    (
        Stack.of(
            **{"units": [6, 6], "batch_size": 32, "preparation": "robust_clip"},
            **{"averaging": "exponential", "schedule": "performance", "activation": "relu"},
        ),
        Refit(8, 3, (1,)),
        1,
    ),
    (
        Stack.of(
            **{"units": [5], "batch_size": 16, "preparation": "quantile", "dropout": "all"},
            **{"regularizer_schedule": "flat_cosine", "optimizer": "adamw"},
        ),
        Refit(9, 1),
        2,
    ),
)


@pytest.mark.parametrize("case", CASES)
def test_the_script_predicts_as_the_exported_ensemble(
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the weights of the exported ensemble's networks it prepares rows as these do, gives
    their weighted mean and prints its test figures."""
    target, transform, metric = CASES[case]
    data = load(str(rows(tmp_path)), target, transform=transform)
    asked = question(data, metric, None, None)
    spec = StudySpec("s", data.describe(), {"axes": {}}, epochs=3, yardstick=False, **asked)
    bench = JobBench(spec, 0, str(tmp_path))
    models, trained = [], []
    for stack, refit, _ in MEMBERS:
        found = next(refitted(bench, stack, [refit]))
        assert found is not None
        models.append(export_model(bench, stack, *found))
        trained.append(found[0].plain(found[0].weights()))
    ensemble, split = joined(models, [3, 1, 2]), data.whole()
    p, y = predictions(ensemble, split.x_test).astype(float), split.y_test

    names = executed(ensemble_script(data, spec, MEMBERS, {"loss": [0.5]}))
    left, taken = iter(trained), []

    def fit(model: keras.Model, *args: Any, **options: Any) -> None:
        model.set_weights(next(left))
        taken.append((model, options["epochs"]))

    monkeypatch.setattr(keras.Model, "fit", fit)
    names["sys"] = SimpleNamespace(argv=["train.py"])
    names["main"]()
    assert [epochs for _, epochs in taken] == [2, 3, 1]
    x_train, _, x_test, *_ = names["load_data"]()
    answers = []
    for (model, _), (_, network, _) in zip(taken, names["NETWORKS"], strict=True):
        prepared, _ = network()
        outputs = model.predict(prepared(x_train, x_test)[1], verbose=0)
        answers.append(outputs if case == "classes" else split.predictions(outputs))
    shares = [weight for *_, weight in names["NETWORKS"]]
    mean = np.average(answers, axis=0, weights=shares)
    np.testing.assert_allclose(mean.reshape(p.shape), p, rtol=1e-4, atol=1e-5)

    printed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in printed] == ["seed 7", "seed 8", "seed 9", "mean of 3"]
    shown = [float(text) for text in re.findall(r" ([\d.]+)(?=,|$)", printed[-1])]
    if case == "classes":
        expected = [log_loss(y, p), accuracy_score(y, p.argmax(axis=1))]
    elif metric == "mae":
        expected = [mean_absolute_error(y, p)]
    else:
        p = p.reshape(y.shape)
        each = root_mean_squared_error(y, p, multioutput="raw_values")
        expected = [np.mean(((p - y) / split.y_scale) ** 2), np.mean(each)]
    assert shown == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_every_stack_trains_in_an_ensemble(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Classes, functions and numbers of one network do not reach another's: all train together."""
    data = arrays(tmp_path)
    spec = StudySpec("s", data.describe(), {}, epochs=2)
    chosen = ("everything", "members, ntk", "independent members, bins", "auxiliary", "decay")
    members = [(STACKS[name], Refit(k, 1), 1 + k) for k, name in enumerate(chosen)]
    names = executed(ensemble_script(data, spec, members, {"loss": [0.5]}))
    names["sys"] = SimpleNamespace(argv=["train.py"])
    names["main"]()
    found = [float(text) for text in re.findall(r"test loss ([\d.]+)", capsys.readouterr().out)]
    assert len(found) == len(chosen) + 1
    assert found[-1] < np.average(found[:-1], weights=range(1, 6))  # by Jensen's inequality


def test_rows_without_a_target_reach_the_network_that_is_pretrained_on_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are loaded for all networks, prepared by each, and used by the pretrained one."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)), np.arange(60) % 3
    np.savez(tmp_path / "u.npz", x_train=x, y_train=y, x_unlabelled=5 + x[:30])
    data = load(str(tmp_path / "u.npz"))
    spec = StudySpec("s", data.describe(), {}, epochs=2)
    members = [(STACKS[name], Refit(3, 2), 1) for name in ("decay", "autoencoder")]
    names = executed(ensemble_script(data, spec, members, {"loss": [0.5]}))
    names["sys"] = SimpleNamespace(argv=["train.py"])
    names["main"]()
    assert capsys.readouterr().out.count("test loss") == 3
    assert names["load_data"]()[4].shape == (30, 4)


def test_an_ensemble_of_a_users_own_network_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each member builds the network of the file beside the script with its own numbers."""
    y = np.arange(90) % 3
    x = np.random.default_rng(0).normal(size=(90, 8, 8, 1)) + y.reshape(-1, 1, 1, 1)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    data = load(str(tmp_path / "data.npz"))
    network = OwnNetwork("network.py", "lenet", CODE, inputs_of(data).shapes)
    spec = StudySpec("s", data.describe(), {}, epochs=2, network=network)
    stack = Stack.of(activation="elu", optimizer="adam", batch_size=16)
    members = [
        (stack.but(network__blocks=1), Refit(1, 1), 1),
        (stack.but(network__blocks=2, penalty="l2"), Refit(2, 2), 1),
    ]
    text = ensemble_script(data, spec, members, {"loss": [0.5]})
    (tmp_path / "train.network.py").write_text(CODE, "utf-8")
    names: dict[str, Any] = {"__name__": "script", "__file__": str(tmp_path / "train.py")}
    exec(compile(text, "train.py", "exec", dont_inherit=True), names)
    names["sys"] = SimpleNamespace(argv=["train.py"])
    names["main"]()
    assert capsys.readouterr().out.splitlines()[-1].startswith("mean of 2: test loss ")
