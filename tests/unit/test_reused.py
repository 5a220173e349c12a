"""A saved model is read, or refused with the first layer that does not fit."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.planted_study import made_up_spec
from trainstack.search.artifacts import FolderStore
from trainstack.search.cli.first_trials import first_trials
from trainstack.search.cli.study_options import make_spec
from trainstack.search.conclusion.replay_command import replay_command
from trainstack.search.data.load import load
from trainstack.search.data.overrules import NO_OVERRULES
from trainstack.search.data.split_plan import RANDOM
from trainstack.search.evidence.ablation import ablations
from trainstack.search.reused import Reused, read_reused
from trainstack.search.spec import StudySpec
from trainstack.spaces.errors import RequestError
from trainstack.spaces.for_data import with_reused
from trainstack.spaces.space import Space
from trainstack.spaces.stack import Stack

FEATURES = 13


def layer(kind: str, **config: Any) -> dict[str, Any]:
    """Return a layer as Keras describes it."""
    found = {"class_name": kind, "module": "keras.layers", "config": {"name": "it", **config}}
    if kind == "Dense":
        found["build_config"] = {"input_shape": [None, config.pop("width", FEATURES)]}
    return found


def dense(units: int, activation: Any = "linear", **config: Any) -> dict[str, Any]:
    return layer("Dense", units=units, activation=activation, **config)


INPUTS = [layer("InputLayer"), layer("Normalization")]
HEAD = dense(3)
GOOD = [*INPUTS, dense(48, "selu"), layer("AlphaDropout"), dense(20, "selu"), HEAD]


def model(folder: Path, *layers: Any) -> str:
    """Write a model of these layers, without weights."""
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        document = {"class_name": "Functional", "config": {"name": "m", "layers": [*layers]}}
        archive.writestr("config.json", json.dumps(document))
    return str(path)


def test_hidden_layers_are_read(tmp_path: Path) -> None:
    """Their widths and activation, also of a model within the model, as an export has it."""
    inner = [dense(48), layer("Activation", activation="silu"), dense(20, "silu"), HEAD]
    columns = {"class_name": "Functional", "config": {"name": "columns", "layers": [dense(9)]}}
    nested = {"class_name": "Functional", "config": {"name": "network", "layers": inner}}
    found = read_reused(model(tmp_path, *INPUTS, columns, nested), FEATURES)
    assert (found.units, found.activation) == ((48, 20), "swish")
    assert read_reused(model(tmp_path, *GOOD), FEATURES).units == (48, 20)


@pytest.mark.parametrize(
    "after",
    [
        [layer("BatchNormalization"), dense(20, "selu"), HEAD],
        [dense(20, "relu"), HEAD],
        [dense(20, "selu", use_bias=False), HEAD],
    ],
)
def test_layers_are_reused_up_to_the_first_that_does_not_fit(
    after: list[Any], tmp_path: Path
) -> None:
    """Above it there may be anything."""
    first = [dense(48, "selu"), dense(30, "selu")]
    assert read_reused(model(tmp_path, *INPUTS, *first, *after), FEATURES).units[0] == 48
    assert len(read_reused(model(tmp_path, *INPUTS, *first, *after), FEATURES).units) < 3


@pytest.mark.parametrize(
    ("layers", "problem"),
    [
        ([*INPUTS, dense(8, "relu", width=9), HEAD], "'it' takes 9 inputs; expected 13, the feat"),
        ([layer("Conv2D"), dense(8, "relu"), HEAD], "layer 'it' is a Conv2D; expected dense layer"),
        ([dense(8, "relu", name="d7", use_bias=False), HEAD], "layer 'd7' has no biases"),
        ([dense(8), layer("LeakyReLU", name="leaky"), HEAD], "layer 'leaky' is a LeakyReLU"),
        ([dense(8), layer("BatchNormalization"), HEAD], "is a BatchNormalization"),
        ([dense(8, "hard_tanh"), HEAD], "has the activation 'hard_tanh'; expected one of linear"),
        ([dense(8, {"class_name": "F"}), HEAD], "has the activation"),
        ([*INPUTS, HEAD], "m.keras has a single dense layer; expected hidden dense layers"),
        (INPUTS, "m.keras has no dense layer"),
    ],
)
def test_a_model_that_does_not_fit_is_one_line(
    layers: list[Any], problem: str, tmp_path: Path
) -> None:
    """It names the first layer that does not."""
    with pytest.raises(RequestError) as refused:
        read_reused(model(tmp_path, *layers), FEATURES)
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [None, b"not a model", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_model_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    """It is missing, or something else."""
    if content is not None:
        (tmp_path / "m.keras").write_bytes(content)
    with pytest.raises(RequestError, match=r"a \.keras file") as refused:
        read_reused(str(tmp_path / "m.keras"), FEATURES)
    assert "\n" not in str(refused.value)


def test_the_file_travels_by_its_content(tmp_path: Path) -> None:
    """The store has it under its hash; without the store only the same file will do."""
    found = read_reused(model(tmp_path, *GOOD), FEATURES)
    content = Path(found.file).read_bytes()
    store, empty = FolderStore(tmp_path / "store"), FolderStore(tmp_path / "empty")
    found.share(store)
    assert found.content(empty) == content
    Path(found.file).write_bytes(b"another")
    assert found.content(store) == content
    for refused in (lambda: found.content(empty), lambda: found.share(store)):
        with pytest.raises(RequestError, match="not the model with which the study was launched"):
            refused()


def asked(tmp_path: Path, space: str = "quick", **more: Any) -> StudySpec:
    """Return the spec of a launch."""
    flags: dict[str, Any] = {
        **{"data": "wine", "target": None, "task": "auto", "study": None, "space": space},
        **{"profile": "default", "stacks": None, "sampler": "tpe", "pruner": "none", "trials": 4},
        **{"overrules": NO_OVERRULES, "plan": RANDOM, "seed": 0},
    }
    return make_spec(**{**flags, **more})[0]


def stacks_file(folder: Path, **choices: Any) -> Path:
    path = folder / "stacks.json"
    path.write_text(json.dumps([Stack.of(pretraining="reuse", **choices).to_json()]))
    return path


def test_a_launch_offers_the_layers(tmp_path: Path) -> None:
    """Its space has `none` and `reuse`, and the spec, read back, the model."""
    path = model(tmp_path, *GOOD)
    spec = asked(tmp_path, reuse=path)
    assert StudySpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert set(spec.space["axes"]["pretraining"]) == {"none", "reuse"}
    assert spec.reused is not None
    assert spec.reused.layers == Space.from_json(dict(spec.space)).reused
    assert f"--reuse {path}" in replay_command(spec, None)
    plain = asked(tmp_path)
    assert "pretraining" not in plain.space["axes"]
    assert any("reused" in line for line in spec.differences(plain))
    labels = [label for label, _ in first_trials(spec, load("wine"), None, False)]
    assert labels.index("reused") == 2
    assert spec.reused.layers.fits(dict(first_trials(spec, load("wine"), None, False))["reused"])
    given = asked(tmp_path, reuse=path, stacks=stacks_file(tmp_path, units=[48, 5]))
    assert given.stacks[0]["pretraining"] == "reuse"


def test_layers_that_are_not_there_are_refused(tmp_path: Path) -> None:
    """A space or a stack that reuses layers needs the model, and a stack its layers."""
    own = Space.named("quick").with_axis("pretraining", {"none": {}, "reuse": {}})
    (tmp_path / "own.json").write_text(json.dumps(own.to_json()))
    with pytest.raises(RequestError, match=r"expected --reuse MODEL\.keras beside it"):
        asked(tmp_path, str(tmp_path / "own.json"))
    with pytest.raises(RequestError, match="a stack has pretraining 'reuse'"):
        asked(tmp_path, stacks=stacks_file(tmp_path))
    with pytest.raises(RequestError, match=r"a stack reuses 1 layer\(s\) of \[20\] selu; expected"):
        asked(tmp_path, stacks=stacks_file(tmp_path, units=[20]), reuse=model(tmp_path, *GOOD))


def test_a_reusing_stack_is_not_varied_where_it_would_not_fit() -> None:
    """Its ablations have the model's widths and activation, and one has fresh weights."""
    reused = Reused("/m.keras", "0" * 32, (48, 20), "relu")
    space = with_reused(Space.named("quick"), reused.layers)
    spec = dataclasses.replace(made_up_spec(), space=space.to_json(), reused=reused)
    stack = Stack.of(units=[48, 20], activation="relu", pretraining="reuse")
    varied = {found.axis: found.variants[0] for found in ablations(spec, [], stack)}
    assert varied["pretraining"]["pretraining"] == "none"
    assert not {"units", "activation"} & varied.keys()
    assert all(reused.layers.fits(variant) for variant in varied.values())


def test_a_network_of_ones_own_reuses_no_layers(tmp_path: Path) -> None:
    """Both flags together are refused in one line."""
    with pytest.raises(RequestError, match="with --network; expected one of them"):
        asked(tmp_path, reuse="m.keras", network="net.py:build")
