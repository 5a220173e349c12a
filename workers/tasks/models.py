"""The models that can be exported, with their figures on the test set.

`single` is the network of the first confirmation run. The others are trained on all rows that are
not for testing: `refit` is one network of the recommended stack, `average` the mean of several, and
`ensemble` the weighted mean of networks of several stacks, which are chosen by their predictions
for validation rows. `further_models` and `greedy` bound their number.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from trainstack.search.evidence.default_model import AVERAGE, ENSEMBLE, KINDS, REFIT, SINGLE
from trainstack.search.evidence.greedy import greedy
from trainstack.search.folds import search_splits
from trainstack.search.kept_predictions import read_predictions
from trainstack.search.metrics.conformal import Residuals
from trainstack.search.metrics.table import REGRESSION
from trainstack.search.payloads import MeasurementPayload, Refit
from trainstack.spaces.stack import Stack
from trainstack.workers.export.deployment import latency_ms
from trainstack.workers.export.joint import joined, tempered
from trainstack.workers.export.keras_code import script
from trainstack.workers.export.model import Delivered, export_model, save_all
from trainstack.workers.messages import Kept
from trainstack.workers.tasks.metrics import Scorer
from trainstack.workers.tasks.refit import refitted
from trainstack.workers.tasks.validated import Validated, averaged, together, validated

if TYPE_CHECKING:
    from trainstack.workers.engine.bench import Bench

log = logging.getLogger("trainstack.trainer")

# Rows that a model predicts at once.
_ROWS = 1024


@dataclass(frozen=True)
class Member:
    """A network of a model.

    Attributes:
        stack: Its stack.
        seed: Seed of weights, batch order and masks.
        epochs: Number of epochs trained; None: it was ended by its validation loss.
        weight: Its weight in the mean.
    """

    stack: Stack
    seed: int
    epochs: int | None = None
    weight: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the row of the measurement's document."""
        length = {} if self.epochs is None else {"epochs": self.epochs}
        shown = {"stack": self.stack.to_json(), "stack_id": self.stack.stack_id}
        return {**shown, "seed": self.seed, **length, "weight": self.weight}


@dataclass(frozen=True)
class Network:
    """A trained network as a Keras model of raw rows.

    Attributes:
        model: The model.
        split: The split that it was trained on.
        parameters: Number of its weights.
    """

    model: keras.Model
    split: Any
    parameters: int


@dataclass(frozen=True)
class Made:
    """A model that was made.

    Attributes:
        network: The model, not calibrated, which may hold several networks.
        members: Its networks.
        valid: Validation predictions by which it is calibrated; None: there are none.
        is_scored: Whether these are its own predictions, not those of networks of its stack that
            were trained on fewer rows.
    """

    network: Network
    members: tuple[Member, ...]
    valid: Validated | None = None
    is_scored: bool = True


def models(
    bench: Bench,
    asked: MeasurementPayload,
    runs: Sequence[Kept],
    test: Mapping[str, Sequence[float]],
    folder: str,
) -> dict[str, dict[str, Any]]:
    """Make, measure and write the models.

    Args:
        bench: The bench.
        asked: Input of the measurement.
        runs: The recommended stack's confirmation runs, at least one.
        test: Their test figures.
        folder: Folder in the artifact store to write into.

    Returns:
        Each kind's document: its `test` figures, `latency_ms`, `parameters`, `rows` that it was
        trained on, `members`, `artifacts`, and if there are validation rows `validation` (the
        metric that decides) and in classification `calibration`; or `left_out`, the reason why
        there is none.
    """
    maker, found = _Maker(bench, asked, runs), {}
    for kind in KINDS:
        made = maker.make(kind)
        if isinstance(made, str):
            found[kind] = {"left_out": made}
            continue
        document, model = _measured(bench, made)
        program = _program(bench, asked, runs, test, kind, document["test"])
        stacks = tuple(dict.fromkeys(member.stack for member in made.members))
        delivered = Delivered(model, made.network.split, stacks, program, _residuals(bench, made))
        try:
            document["artifacts"] = save_all(bench, delivered, f"{folder}/{kind}")
        except OSError as error:  # a full disk costs the export, not the figures
            log.warning("the model could not be written: %s", error)
        found[kind] = document
    return found


def _residuals(bench: Bench, made: Made) -> Residuals | None:
    """Return the errors on the validation rows, in regression."""
    if made.valid is None or bench.spec.data.task != REGRESSION:
        return None
    return Residuals.of(made.valid.y, made.valid.p, made.network.split.log is not None)


def _measured(bench: Bench, made: Made) -> tuple[dict[str, Any], keras.Model]:
    """Return a model's document, and the calibrated model."""
    spec, split, valid = bench.spec, made.network.split, made.valid
    temperature, calibration = 1.0, {}
    if valid is not None and spec.data.task != REGRESSION:
        temperature, before = valid.temperature(), valid
        valid = valid.at(temperature) if temperature != 1.0 else valid
        calibration = {
            "calibration": {
                "temperature": temperature,
                "before": before.calibration(),
                "after": valid.calibration(),
            }
        }
    model = tempered(made.network.model, temperature, bool(spec.data.labels))
    scorer = Scorer.of(spec, split)
    figures = scorer.figures(scorer.of_predictions(predictions(model, split.x_test)), "test")
    document = {
        "test": {name: [value] for name, value in figures.items()},
        "latency_ms": latency_ms(model),
        "parameters": made.network.parameters,
        "rows": len(split.y_train),
        "members": [member.to_json() for member in made.members],
        **calibration,
    }
    if valid is not None and made.is_scored:
        document["validation"] = valid.score(spec)
    return document, model


def predictions(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Return a model's outputs for raw rows, in the precision in which it takes them.

    Args:
        model: The model.
        x: Rows as a split holds them, [N, D].
    """
    raw = x.reshape(-1, *model.input_shape[1:])
    parts = [model(raw[k : k + _ROWS], training=False) for k in range(0, len(raw), _ROWS)]
    return np.concatenate([np.asarray(part) for part in parts])


def _program(
    bench: Bench,
    asked: MeasurementPayload,
    runs: Sequence[Kept],
    test: Mapping[str, Sequence[float]],
    kind: str,
    own: Mapping[str, Sequence[float]],
) -> str:
    """Return a program that trains a model again; empty if there is none, as for an ensemble."""
    network = bench.spec.network
    if network is not None and network.not_written:
        return ""
    about = bench.dataset, bench.spec, asked.chosen
    if kind == SINGLE:
        return script(*about, [run.seed for run in runs], test)
    if kind == REFIT:
        return script(*about, [asked.refits[0].seed], own, refit=asked.refits[0])
    if kind == AVERAGE:
        seeds = [refit.seed for refit in asked.refits]
        return script(*about, seeds, own, refit=asked.refits[0], averaged=True)
    return ""


@dataclass
class _Maker:
    """Makes the models of a measurement; equal networks are trained once.

    Attributes:
        bench: The bench.
        asked: Input of the measurement.
        runs: The recommended stack's confirmation runs.
        trained: Networks trained on all rows; None for one that diverged.
    """

    bench: Bench
    asked: MeasurementPayload
    runs: Sequence[Kept]
    trained: dict[tuple[str, Refit], Network | None] = field(default_factory=dict)

    def make(self, kind: str) -> Made | str:
        """Return a model of a kind, or the reason why there is none."""
        if kind == SINGLE:
            return self._single()
        if not self.asked.refits:
            return "not asked for"
        return {REFIT: self._refit, AVERAGE: self._average, ENSEMBLE: self._ensemble}[kind]()

    def _single(self) -> Made:
        stack, run = self.asked.chosen, self.runs[0]
        program, split = self.bench.weights(stack, run)
        network = _network(self.bench, stack, program, split)
        return Made(network, (Member(stack, run.seed),), self._of_run(run))

    def _refit(self) -> Made | str:
        stack, refits = self.asked.chosen, self.asked.refits
        self._networks([(stack, refit) for refit in refits])  # the average needs all of them
        members = [(stack, refits[0], 1)]
        valid = together([self._of_run(run) for run in self.runs])
        return self._mean(members, valid, is_scored=False)

    def _average(self) -> Made | str:
        members = [(self.asked.chosen, refit, 1) for refit in self.asked.refits]
        if len(members) < 2:
            return "only one seed was confirmed"
        return self._mean(members, averaged([self._of_run(run) for run in self.runs]))

    def _ensemble(self) -> Made | str:
        splits = search_splits(self.bench.spec)
        found = [
            (member, self._valid(member.stack, splits, member.predictions))
            for member in self.asked.pool
        ]
        known = [(member, valid) for member, valid in found if valid is not None]
        if not known:
            return "no predictions for validation rows were kept"
        counts = greedy(
            [valid.p for _, valid in known], lambda p: _objective(self.bench, known[0][1], p)
        )
        chosen = [(*pair, count) for pair, count in zip(known, counts, strict=True) if count]
        if not chosen:
            return "no predictions for validation rows are finite"
        weighted = [valid for _, valid, count in chosen for _ in range(count)]
        members = [(member.stack, member.refit, count) for member, _, count in chosen]
        return self._mean(members, averaged(weighted))

    def _mean(
        self,
        wanted: Sequence[tuple[Stack, Refit, int]],
        valid: Validated | None,
        is_scored: bool = True,
    ) -> Made | str:
        """Return the weighted mean of networks trained on all rows; none may diverge."""
        found = self._networks([(stack, refit) for stack, refit, _ in wanted])
        made = [network for network in found if network is not None]
        if len(made) < len(wanted):
            return "a training on all rows diverged"
        weights = [weight for *_, weight in wanted]
        parameters = sum(network.parameters for network in made)
        model = joined([network.model for network in made], weights)
        members = tuple(Member(stack, r.seed, r.epochs, weight) for stack, r, weight in wanted)
        return Made(Network(model, made[0].split, parameters), members, valid, is_scored)

    def _networks(self, wanted: Sequence[tuple[Stack, Refit]]) -> list[Network | None]:
        """Return networks trained on all rows; those of one stack are trained together."""
        by_stack: dict[Stack, list[Refit]] = {}
        for stack, refit in dict.fromkeys(wanted):
            if (stack.stack_id, refit) not in self.trained:
                by_stack.setdefault(stack, []).append(refit)
        for stack, missing in by_stack.items():
            trained = refitted(self.bench, stack, missing)
            for refit, found in zip(missing, trained, strict=True):
                network = None if found is None else _network(self.bench, stack, *found)
                self.trained[stack.stack_id, refit] = network
        return [self.trained[stack.stack_id, refit] for stack, refit in wanted]

    def _of_run(self, run: Kept) -> Validated | None:
        files = [run.predictions] if run.predictions else []
        return self._valid(self.asked.chosen, [run.split], files)

    def _valid(self, stack: Stack, splits: Sequence[Any], files: Sequence[str]) -> Validated | None:
        """Return validation rows with the predictions of files; None if they do not fit."""
        if not files:
            return None
        kept = read_predictions(self.bench.artifacts, files, self.bench.spec.data.task)
        return validated(self.bench, stack, splits, kept)


def _network(bench: Bench, stack: Stack, program: Any, split: Any) -> Network:
    model = export_model(bench, stack, program, split)
    return Network(model, split, int(program.model.count_params()))


def _objective(bench: Bench, valid: Validated, p: np.ndarray) -> float:
    """Return the number to minimize of predictions for validation rows."""
    asked = bench.spec.asked
    return asked.objective(asked.value(valid.y, p, valid.w))
