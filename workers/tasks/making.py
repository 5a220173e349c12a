"""Making the models that can be exported; see `trainstack.workers.tasks.models`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from trainstack.search.evidence.default_model import AVERAGE, ENSEMBLE, REFIT, SINGLE
from trainstack.search.evidence.greedy import cross_fitted, greedy
from trainstack.search.folds import search_splits
from trainstack.search.kept_predictions import read_predictions
from trainstack.search.payloads import MeasurementPayload, PoolMember, Refit
from trainstack.search.queue.further_models import networks
from trainstack.spaces.errors import RequestError
from trainstack.spaces.stack import Stack
from trainstack.workers.export.joint import joined
from trainstack.workers.export.model import export_model
from trainstack.workers.messages import Kept
from trainstack.workers.tasks.refit import forget_refit, kept_refit, refitted
from trainstack.workers.tasks.validated import Validated, out_of_bag, together, validated

if TYPE_CHECKING:
    from trainstack.workers.engine.bench import Bench


@dataclass(frozen=True)
class Member:
    """A network of a model.

    Attributes:
        stack: Its stack.
        seed: Seed of weights, batch order and masks.
        refit: How it is trained on all rows that are not for testing; None: it was trained on
            fewer, and ended by its validation loss.
        weight: Its weight in the mean.
    """

    stack: Stack
    seed: int
    refit: Refit | None = None
    weight: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the row of the measurement's document."""
        length = {} if self.refit is None else {"epochs": self.refit.epochs}
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
        valid: Predictions for validation rows, by which it is calibrated; None: there are none.
        averaged: The networks of a mean for which `valid` has predictions of single networks.
    """

    network: Network
    members: tuple[Member, ...]
    valid: Validated | None = None
    averaged: tuple[Network, ...] = ()


@dataclass
class Maker:
    """Makes the models of a measurement; equal networks are trained once.

    Attributes:
        bench: The bench.
        asked: Input of the measurement.
        runs: The recommended stack's confirmation runs, at least one.
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
        return Made(network, (Member(stack, run.seed),), self._of_runs[0])

    def _refit(self) -> Made | str:
        stack, refits = self.asked.chosen, self.asked.refits
        self._networks([(stack, refit) for refit in refits])  # the average needs all of them
        return self._mean([(stack, refits[0], 1)], together(self._of_runs))

    def _average(self) -> Made | str:
        members = [(self.asked.chosen, refit, 1) for refit in self.asked.refits]
        if len(members) < 2:
            return "only one seed was confirmed"
        made = self._mean(members, out_of_bag(self._of_runs))
        if isinstance(made, str):
            return made
        found = self._networks([(stack, refit) for stack, refit, _ in members])
        return replace(made, averaged=tuple(each for each in found if each is not None))

    def _ensemble(self) -> Made | str:
        found = self.candidates
        if not found:
            return "no predictions for validation rows were kept"
        counts = greedy([valid.p for _, valid in found], partial(self.objective, slice(None)))
        members = [
            (member.stack, member.refit, count)
            for (member, _), count in zip(found, counts, strict=True)
            if count
        ]
        if not members:
            return "no predictions for validation rows are finite"
        return self._mean(members, self._unchosen)

    @cached_property
    def _of_runs(self) -> list[Validated | None]:
        """The validation rows of each confirmation run, with its predictions."""
        stack = self.asked.chosen
        files = [[run.predictions] if run.predictions else [] for run in self.runs]
        return [
            self._valid(stack, [run.split], names)
            for run, names in zip(self.runs, files, strict=True)
        ]

    @cached_property
    def candidates(self) -> list[tuple[PoolMember, Validated]]:
        """The networks that the ensemble may contain, with predictions for the same rows."""
        splits = search_splits(self.bench.spec)
        found = [
            (member, self._valid(member.stack, splits, member.predictions))
            for member in self.asked.pool
        ]
        return [(member, valid) for member, valid in found if valid is not None]

    @property
    def _unchosen(self) -> Validated | None:
        """The search's validation rows, predicted by ensembles that these rows did not choose."""
        each = [valid for _, valid in self.candidates]
        try:
            p = cross_fitted([valid.p for valid in each], self.objective)
        except RequestError:  # a user's metric may refuse half of the rows
            return None
        return None if p is None else replace(each[0], p=p)

    def objective(self, rows: np.ndarray | slice, p: np.ndarray) -> float:
        """Return the number to minimize of predictions for some of the search's validation rows.

        It is infinite for rows that all have the weight 0.
        """
        valid, asked = self.candidates[0][1], self.bench.spec.asked
        if not valid.w[rows].any():
            return math.inf
        return asked.objective(asked.value(valid.y[rows], p, valid.w[rows]))

    def _mean(
        self, wanted: Sequence[tuple[Stack, Refit, int]], valid: Validated | None
    ) -> Made | str:
        """Return the weighted mean of networks trained on all rows, without those that diverge."""
        found = self._networks([(stack, refit) for stack, refit, _ in wanted])
        made = [
            (network, Member(stack, refit.seed, refit, weight))
            for network, (stack, refit, weight) in zip(found, wanted, strict=True)
            if network is not None
        ]
        if not made:
            return "training on all rows diverged"
        networks, members = zip(*made, strict=True)
        model = joined([each.model for each in networks], [member.weight for member in members])
        parameters = sum(network.parameters for network in networks)
        return Made(Network(model, networks[0].split, parameters), members, valid)

    def _networks(self, wanted: Sequence[tuple[Stack, Refit]]) -> list[Network | None]:
        """Return networks trained on all rows.

        Other workers train them from the first to the last, as tasks; those that they have not kept
        yet are trained here, from the last to the first, and those of one stack together where that
        pays.
        """
        by_stack: dict[Stack, list[Refit]] = {}
        for stack, refit in reversed(dict.fromkeys(wanted)):
            if (stack.stack_id, refit) not in self.trained:
                by_stack.setdefault(stack, []).append(refit)
        for stack, missing in by_stack.items():
            _, data = self.bench.split(None, stack)
            epochs, runs = self.bench.spec.epochs, len(missing)
            most = self.bench.most_networks(stack, data, epochs, runs)
            for start in range(0, runs, most):
                self._take(stack, missing[start : start + most], runs)
        return [self.trained[stack.stack_id, refit] for stack, refit in wanted]

    def forget_kept(self) -> None:
        """Remove what is kept of the networks, once all models are made."""
        tasks = networks(self.asked.chosen, self.asked.refits, self.asked.pool)
        for stack_id, refit in {*self.trained, *((s.stack_id, refit) for s, refit in tasks)}:
            forget_refit(self.bench, stack_id, refit)

    def _take(self, stack: Stack, refits: Sequence[Refit], runs: int) -> None:
        """Add networks of a stack to those trained, kept ones before the others.

        Args:
            stack: The stack.
            refits: Their trainings.
            runs: Number of networks of the stack that are trained here at most.
        """
        missing = []
        for refit in refits:
            if (found := kept_refit(self.bench, stack, refit)) is None:
                missing.append(refit)
            else:
                self.trained[stack.stack_id, refit] = _network(self.bench, stack, *found)
        trained = refitted(self.bench, stack, missing, runs) if missing else ()
        for refit, found in zip(missing, trained, strict=True):
            network = None if found is None else _network(self.bench, stack, *found)
            self.trained[stack.stack_id, refit] = network

    def _valid(self, stack: Stack, splits: Sequence[Any], files: Sequence[str]) -> Validated | None:
        """Return validation rows with the predictions of files; None if they do not fit."""
        if not files:
            return None
        kept = read_predictions(self.bench.artifacts, files, self.bench.spec.data.task)
        return validated(self.bench, stack, splits, kept)


def _network(bench: Bench, stack: Stack, program: Any, split: Any) -> Network:
    model = export_model(bench, stack, program, split)
    return Network(model, split, int(program.model.count_params()))
