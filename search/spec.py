"""The specification of a study: stored as JSON, and compared with repeated requests.

What it says of the data stands in `data_spec`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainstack.search.data_spec import DataSpec
from trainstack.search.json_values import read_strictly
from trainstack.search.metrics.own import OwnMetric
from trainstack.search.own_network import OwnNetwork
from trainstack.search.reused import Reused
from trainstack.search.saved_model import SavedModel
from trainstack.spaces.own_numbers import OwnNumber, read_numbers
from trainstack.spaces.stack import Stack

if TYPE_CHECKING:
    from trainstack.search.metrics.losses import Loss
    from trainstack.search.metrics.table import Metric

# Precision of the products in a training step. Mixed: factors in bfloat16; weights, sums, losses
# and all measurements in float32 (Kalamkar et al., "A Study of BFLOAT16 for Deep Learning
# Training", 2019).
PRECISIONS = ("float32", "mixed")


@dataclass(frozen=True)
class StudySpec:
    """The specification of a study, equal for all workers and repeated launches.

    Attributes:
        study: Name of the study.
        data: The data.
        space: The space as JSON (`Space.to_json()`).
        profile: Name of the profile.
        trials: Budget of counted search trials.
        epochs: Most epochs of one trial.
        timeout_seconds: Time limit of the search phase, or None.
        replicates: Number of fresh seeds in the confirmation.
        most_replicates: Most seeds of comparisons that are still open; 0: `replicates`.
        least_replicates: Seeds of the leading comparison that `confirm` asked for; 0: `replicates`.
        confirm_seconds: Time limit of the seeds beyond `replicates`; None: half of the search's
            time, at least 20 s.
        simplicity: Price of a departure from the default in percent of its loss, by which the
            stack is chosen; None: PRICE, among those shown to beat the default.
        reopened: Times that `confirm` has continued the study after its test set was opened.
        launched_with: Fields that `confirm` has changed → their values at launch.
        seed: Random seed.
        sampler: Name of the sampler.
        pruner: Name of the pruner, or `none`.
        stacks: Stacks to train instead of sampling; empty: sample.
        constraints: Constraints such as `latency_ms<=1`.
        experiment: Ids of claims to test by designed runs, without a search.
        precision: Precision of the products in training steps, one of PRECISIONS.
        yardstick: Whether to train scikit-learn's gradient boosting for comparison; None: if it
            takes at most a minute.
        models: Whether to train the models that are exported beside the single network.
        metric: Name of the metric that decides; empty: the task's usual one.
        own_metric: The metric of the user's own, of that name; null: one of the table.
        loss: Name of the loss to train on; empty: the one that suits the metric.
        class_weight: `balanced`, or class name → weight; empty: none.
        folds: Folds of a search trial, whose score is their mean; 1: none, a part is held out.
        repeats: Times that the rows are divided into folds anew.
        reused: The saved model whose layers networks may start with; null: none.
        network: The network of the user's own that stacks are put into; null: dense layers.
        version: Version of this package.
    """

    study: str
    data: DataSpec
    space: Mapping[str, Any]
    profile: str = "default"
    trials: int = 40
    epochs: int = 30
    timeout_seconds: float | None = None
    replicates: int = 5
    most_replicates: int = 0
    least_replicates: int = 0
    confirm_seconds: float | None = None
    simplicity: float | None = None
    reopened: int = 0
    launched_with: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    sampler: str = "tpe"
    pruner: str = "asha"
    stacks: tuple[Stack, ...] = ()
    constraints: tuple[str, ...] = ()
    experiment: tuple[str, ...] = ()
    precision: str = "float32"
    yardstick: bool | None = None
    models: bool = True
    metric: str = ""
    own_metric: OwnMetric | None = None
    loss: str = ""
    class_weight: str | Mapping[str, float] = ""
    folds: int = 1
    repeats: int = 1
    reused: Reused | None = None
    network: OwnNetwork | None = None
    version: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the spec as a JSON document that `from_json` reads back unchanged."""
        document = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        document["data"] = self.data.to_json()
        document["stacks"] = [stack.to_json() for stack in self.stacks]
        document["constraints"] = list(self.constraints)
        document["experiment"] = list(self.experiment)
        document["space"] = dict(self.space)
        document["launched_with"] = dict(self.launched_with)
        if self.own_metric is not None:
            document["own_metric"] = dataclasses.asdict(self.own_metric)
        if self.reused is not None:
            document["reused"] = {
                **dataclasses.asdict(self.reused),
                "units": list(self.reused.units),
            }
        if self.network is not None:
            document["network"] = self.network.to_json()
        if isinstance(self.class_weight, Mapping):
            document["class_weight"] = dict(self.class_weight)
        return document

    @property
    def scored(self) -> str:
        """By what a search trial is scored, in words.

        >>> spec = StudySpec("s", DataSpec("d", None, "regression", "", 1, ()), {}, folds=5)
        >>> spec.scored, dataclasses.replace(spec, folds=1).scored
        ('the mean over 5 folds', 'one part held out')
        """
        return over_folds(self.folds, self.repeats) or "one part held out"

    @property
    def network_name(self) -> str:
        """Name of the user's own network; empty if there is none."""
        return "" if self.network is None else self.network.name

    @property
    def voids(self) -> str:
        """What in the user's own network voids self-normalization; empty: nothing does."""
        return self.space.get("voids", "")

    @property
    def saved_models(self) -> tuple[SavedModel, ...]:
        """The saved models of which networks take layers."""
        reused = () if self.reused is None else (self.reused,)
        own = () if self.network is None else tuple(model for _, model in self.network.files)
        return *reused, *own

    @property
    def network_numbers(self) -> dict[str, OwnNumber] | None:
        """The own numbers of the user's own network by name; None: dense layers."""
        return None if self.network is None else read_numbers(self.space.get("network", {}))

    @property
    def asked(self) -> Metric:
        """The metric that decides."""
        from trainstack.search.metrics.table import metric_named

        if self.own_metric is not None:
            return self.own_metric.metric(self.data.task)
        return metric_named(self.metric, self.data.task)

    @property
    def trained_on(self) -> Loss:
        """The loss that networks are trained on."""
        from trainstack.search.metrics.losses import loss_named
        from trainstack.search.metrics.table import USUAL_LOSS

        task = self.data.task
        return loss_named(self.loss or self.asked.loss or USUAL_LOSS[task], task)

    @property
    def decided_by_loss(self) -> bool:
        """Whether the validation loss is the objective: the task's usual metric and loss."""
        from trainstack.search.metrics.table import DEFAULTS, USUAL_LOSS

        task = self.data.task
        usual = self.own_metric is None and self.asked.name == DEFAULTS[task]
        return usual and self.trained_on.name == USUAL_LOSS[task]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> StudySpec:
        """Read a spec written by `to_json`.

        Raises:
            RequestError: A key is unknown or missing.
        """
        own, reused = document.get("own_metric"), document.get("reused")
        network = document.get("network")
        return read_strictly(
            cls,
            {
                **document,
                "data": DataSpec.from_json(document.get("data", {})),
                "stacks": tuple(Stack.from_json(s) for s in document.get("stacks", ())),
                "constraints": tuple(document.get("constraints", ())),
                "experiment": tuple(document.get("experiment", ())),
                "own_metric": None if own is None else read_strictly(OwnMetric, own, "own_metric"),
                "reused": None
                if reused is None
                else read_strictly(Reused, {**reused, "units": tuple(reused["units"])}, "reused"),
                "network": None if network is None else OwnNetwork.from_json(network),
            },
            "spec",
        )

    def differences(self, other: StudySpec) -> list[str]:
        """Return one line per difference to `other`, ignoring the version."""
        launched = dataclasses.replace(
            self, **self.launched_with, least_replicates=0, reopened=0, launched_with={}
        )
        mine, theirs = _flat(launched.to_json()), _flat(other.to_json())
        changed = []
        if self.data.source == other.data.source and self.data.target == other.data.target:
            # Older studies did not record the rows; the fingerprint covers them.
            covered = ["data.fingerprint", "data.rows", "data.unlabelled"]
            if self.data.split != other.data.split:
                here, asked = _words(self.data.split), _words(other.data.split)
                changed = [f"rows are divided with {here} here, with {asked} asked"]
                covered += ["data.features", *(p for p in mine | theirs if "data.split" in p)]
            elif self.data.overrules != other.data.overrules:
                here, asked = _flags(self.data.overrules), _flags(other.data.overrules)
                changed = [f"columns are read with {here} here, with {asked} asked"]
                covered += ["data.features", *(p for p in mine | theirs if "data.overrules" in p)]
            elif self.data.fingerprint != other.data.fingerprint:
                changed = [self.data.changed(other.data)]
            for path in covered:
                mine.pop(path, None)
                theirs.pop(path, None)
        if (self.folds, self.repeats) != (other.folds, other.repeats):
            here, asked = self.scored, other.scored
            changed.append(f"a trial is scored by {here} here, by {asked} asked")
            for path in ("folds", "repeats"):
                mine.pop(path, None)
                theirs.pop(path, None)
        return changed + [
            _difference(path, mine.get(path), theirs.get(path))
            for path in sorted({*mine, *theirs})
            if path != "version" and mine.get(path) != theirs.get(path)
        ]


def over_folds(folds: int, repeats: int) -> str:
    """Return what the score of a search trial is with folds; empty without.

    >>> over_folds(5, 1), over_folds(5, 2), over_folds(1, 1)
    ('the mean over 5 folds', 'the mean over 5 folds of 2 divisions', '')
    """
    times = f" of {repeats} divisions" if repeats > 1 else ""
    return f"the mean over {folds} folds{times}" if folds > 1 else ""


def _flags(overrules: Mapping[str, Sequence[str]]) -> str:
    return _words({flag: ",".join(names) for flag, names in overrules.items()})


def _words(flags: Mapping[str, str]) -> str:
    return " ".join(f"--{flag} {value}" for flag, value in sorted(flags.items())) or "no flags"


def _difference(path: str, mine: Any, theirs: Any) -> str:
    if path == "own_metric.code" and None not in (mine, theirs):
        return "the metric's file holds another text"
    if path == "network.code" and None not in (mine, theirs):
        return "the network's file holds another text"
    return f"{path}: {mine!r} here, {theirs!r} asked"


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Flatten nested mappings and lists to dotted paths, which name differences."""
    if isinstance(value, Mapping):
        items = [(f"{path}.{k}" if path else str(k), v) for k, v in value.items()]
    elif isinstance(value, list) and any(isinstance(v, Mapping | list) for v in value):
        items = [(f"{path}[{k}]", v) for k, v in enumerate(value)]
    else:
        return {path: value}
    flat: dict[str, Any] = {}
    for name, item in items:
        flat.update(_flat(item, name))
    return flat
