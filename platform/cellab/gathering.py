"""Gathers a study's results from the store: rows of scores and counters, what became of each trial, and pictures."""

from collections.abc import Collection, Iterator
from dataclasses import asdict, fields
from pathlib import Path

import h5py

from cellab import hdf5
from cellab.costs import Cost, cost_of
from cellab.executors.driver import Ending
from cellab.executors.protocol import Endings
from cellab.outcomes import Outcome
from cellab.requests import Calibrated, Evaluated, MemberTrained, TrainMember
from cellab.stage import Stage
from cellab.store import Store
from cellab.study import Study, Trial
from cellab.study_files.folder import REAL_IMAGES, generated_images, overlays
from cellab.study_files.records import TrialSummary
from cellab.training.names import GENERATED


class Gathered:
    """The stored outcomes of a study's stages.

    Args:
        study: what was run.
        store: where its stages' results are.
    """

    def __init__(self, study: Study, store: Store) -> None:
        self.study = study
        self.store = store
        self.stages: dict[str, Stage] = study.stages
        self.outcomes: dict[str, Outcome] = {
            key: store.outcome(self.stages[key]) for key in store.stored(list(self.stages))
        }
        self.trials: dict[tuple[str, int], Trial] = {(t.arm.name, t.seed): t for t in study.trials}

    def result_rows(self) -> Iterator[dict[str, object]]:
        """The rows of every generation that was evaluated."""
        for (arm, seed), trial in self.trials.items():
            for number, generation in enumerate(trial.lineage.generations):
                if generation.evaluation in self.outcomes:
                    for row in self.outcomes[generation.evaluation].of(Evaluated).rows:
                        yield {"arm": arm, "seed": seed, "generation": number, **asdict(row)}

    def counter_rows(self) -> Iterator[dict[str, object]]:
        """The counters of every member that was trained on pseudo-labels."""
        for (arm, seed), trial in self.trials.items():
            for number, generation in enumerate(trial.lineage.generations):
                for member, key in enumerate(generation.members):
                    if key not in self.outcomes or self.outcomes[key].diverged:
                        continue
                    where = {"arm": arm, "seed": seed, "generation": number, "member": member}
                    for source, report in self.outcomes[key].of(MemberTrained).pseudo_labels.items():
                        if member and source == GENERATED and self._is_shared(key):
                            continue  # the pool of all members counts once
                        told = asdict(report)
                        yield {**where, "source": source, **told.pop("counters"), **told}

    def _is_shared(self, key: str) -> bool:
        """Whether a member learns what was labelled once for all of them."""
        request = self.stages[key].request
        return isinstance(request, TrainMember) and bool(request.pseudo_labelling and request.pseudo_labelling.labels)

    def calibration_rows(self) -> Iterator[dict[str, object]]:
        """What was found of the vote and of the members of every generation that was calibrated."""
        for (arm, seed), trial in self.trials.items():
            for number, generation in enumerate(trial.lineage.generations):
                if generation.calibration in self.outcomes:
                    found = self.outcomes[generation.calibration].of(Calibrated)
                    for member, estimate in [(None, found.vote), *enumerate(found.members)]:
                        where = {"arm": arm, "seed": seed, "generation": number, "member": member}
                        yield {**where, **asdict(estimate)}

    def stage_rows(self, ran: Collection[str]) -> Iterator[dict[str, object]]:
        """What each stored stage of each trial took.

        Args:
            ran: keys of the stages that this study computed; each ran for the first trial that asks for it.
        """
        left = set(ran)
        costs = {key: asdict(cost) for key in self.outcomes if (cost := cost_of(key, self.store))}
        for (arm, seed), trial in self.trials.items():
            for stage in trial.lineage.stages:
                if stage.key not in self.outcomes:
                    continue
                how = "ran" if stage.key in left else "reused"
                left.discard(stage.key)
                where = {"arm": arm, "seed": seed, "generation": stage.generation, "stage": stage.part}
                told = costs.get(stage.key, dict.fromkeys(field.name for field in fields(Cost)))
                yield {**where, "kind": stage.kind, "key": stage.key, "how": how, **told}

    def summaries(self, endings: Endings) -> dict[tuple[str, int], TrialSummary]:
        """What became of each trial, by (arm, seed).

        Args:
            endings: how trials ended, as far as that is known; one without counts as stopped.
        """
        return {key: self._summary(key, endings) for key in self.trials}

    def _summary(self, key: tuple[str, int], endings: Endings) -> TrialSummary:
        """What became of one trial; a divergence with its stage and step."""
        _, seed = key
        for stage in self.trials[key].lineage.stages:
            outcome = self.outcomes.get(stage.key)
            if outcome and outcome.diverged:
                return TrialSummary(seed, "diverged", stage.part, outcome.diverged.step, str(outcome.diverged))
        ending = endings.get(key, Ending("stopped", "it was stopped before its end"))
        if ending.status != "failed" and self.trials[key].lineage.generations[-1].evaluation in self.outcomes:
            return TrialSummary(seed, "completed")
        return TrialSummary(seed, ending.status, ending.stage, message=ending.message)

    def write_images(self, path: Path) -> None:
        """Copies generated images and overlays."""
        with hdf5.new_file(path) as file:
            for (arm, seed), trial in self.trials.items():
                self._copy_samples(file, f"{generated_images(arm)}/{seed}", trial)
                for number, generation in enumerate(trial.lineage.generations):
                    if generation.evaluation in self.outcomes:
                        stored = self.store.fetch(generation.evaluation) / "overlays.h5"
                        _copy(stored, "/", file, f"{overlays(arm)}/{seed}/{number}")

    def _copy_samples(self, file: h5py.File, where: str, trial: Trial) -> None:
        key = trial.lineage.gan
        if key is None or key not in self.outcomes or self.outcomes[key].diverged:
            return
        samples = self.store.fetch(key) / "samples.h5"
        _copy(samples, "generated", file, where)
        if REAL_IMAGES not in file:
            _copy(samples, "real", file, REAL_IMAGES)


def _copy(path: Path, name: str, to: h5py.File, where: str) -> None:
    with h5py.File(path) as source:
        source.copy(source[name], to, name=where)
