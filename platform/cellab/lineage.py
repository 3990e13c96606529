"""A lineage as a graph of stages: which stages a trial needs, and what exactly each of them asks for (paper 3).

          train_gan(seed) ──────────────┐
    train_member(g0,k) ×K ─ evaluate(g0) ─ train_member(g1,k) ×K ─ evaluate(g1) ─ ...

A request holds only what its stage uses, so that trials share every stage that does not differ between them:
generation 0 knows nothing of GANs, and the GAN nothing of U-Nets.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from cellab.components import instantiate
from cellab.contracts import DataMix, ProminenceSchedule, Teacher
from cellab.fingerprint import stage_fingerprint
from cellab.requests import (
    Compute,
    Evaluate,
    Generated,
    PseudoLabelling,
    Request,
    StoredFrames,
    TrainGan,
    TrainMember,
    as_json,
)
from cellab.seeding import derive_seed
from cellab.settings import TrialConfig
from cellab.stage import Stage
from cellab.stage_kinds import kind_of


@dataclass(frozen=True)
class Generation:
    """One generation: the keys of its members' stages and of its evaluation."""

    members: tuple[str, ...]
    evaluation: str


@dataclass(frozen=True)
class Lineage:
    """All stages of one trial, in an order in which each follows those that it reads."""

    arm: str
    seed: int
    stages: tuple[Stage, ...]
    generations: tuple[Generation, ...]
    gan: str | None


def build_lineage(config: TrialConfig, arm: str, seed: int, data_digest: str, device: str) -> Lineage:
    """The stages of one trial.

    Args:
        config: of the trial (`cellab.compose`); its own `seed` is not used.
        arm: the arm's name, for the labels.
        seed: fixes initialisations, crops, dropout and noise of all stages.
        data_digest: of the data set's content.
        device: ``"cpu"`` or ``"cuda"``.
    """
    teacher = instantiate(config.components["teacher"], "teacher", Teacher)
    builder = _Builder(config, f"{arm} seed={seed}".strip(), seed, data_digest, device, teacher)
    schedule = instantiate(config.components["prominence_schedule"], "prominence_schedule", ProminenceSchedule)
    mix = instantiate(config.components["data_mix"], "data_mix", DataMix)
    shares = [mix.shares(generation) for generation in range(config.lineage.generations)]

    stages: list[Stage] = []
    gan = builder.gan() if any(share["generated"] > 0 for share in shares) else None
    generations: list[Generation] = []
    parents: list[Stage] = []
    for generation, share in enumerate(shares):
        labelling = None
        if share["pseudo"] > 0 or share["generated"] > 0:
            labelling = builder.labelling(schedule.pseudo(generation), parents, gan if share["generated"] > 0 else None)
        if gan and share["generated"] > 0 and gan not in stages:
            stages.append(gan)
        members = list(builder.members(generation, share, schedule.labelled(generation), labelling))
        evaluation = builder.evaluation(generation, members)
        stages += [*members, evaluation]
        generations.append(Generation(tuple(member.key for member in members), evaluation.key))
        parents = members
    return Lineage(arm, seed, tuple(stages), tuple(generations), gan.key if gan else None)


@dataclass(frozen=True)
class _Builder:
    config: TrialConfig
    label: str
    seed: int
    data_digest: str
    device: str
    teacher: Teacher

    def _components(self, request: type) -> dict[str, Any]:
        """Those that a request has places for, which are called by their kinds."""
        chosen = self.config.components
        return {field.name: chosen[field.name] for field in fields(request) if field.name in chosen}

    @property
    def _compute(self) -> Compute:
        return Compute(self.device, self.config.resources.threads)

    @property
    def _frames(self) -> StoredFrames:
        return StoredFrames(self.data_digest, self.config.data.scale)

    def gan(self) -> Stage:
        request = TrainGan(
            data=StoredFrames(self.data_digest, self.config.data.gan_scale),
            compute=self._compute,
            seed=derive_seed(self.seed, "train_gan"),
            settings=self.config.gan,
            **self._components(TrainGan),
        )
        return self._stage("generator", request)

    def labelling(self, prominence: float, parents: list[Stage], gan: Stage | None) -> PseudoLabelling:
        """How the members of a generation get pseudo-labels."""
        return PseudoLabelling(
            parents=tuple(self.teacher.parents([parent.key for parent in parents])),
            prominence=prominence,
            generated=Generated(gan.key, **self._components(Generated)) if gan else None,
            settings=self.config.pseudo_labels,
            **self._components(PseudoLabelling),
        )

    def members(
        self, generation: int, shares: dict[str, float], prominence: float, labelling: PseudoLabelling | None
    ) -> Iterator[Stage]:
        needs: list[str] = []
        if labelling:
            needs += [*labelling.parents, *([labelling.generated.key] if labelling.generated else [])]
        for member in range(self.config.lineage.members):
            request = TrainMember(
                data=self._frames,
                compute=self._compute,
                seed=derive_seed(self.seed, "train_member", generation, member),
                labels=self.config.data.labels,
                shares=shares,
                prominence=prominence,
                pseudo_labelling=labelling,
                settings=self.config.training,
                **self._components(TrainMember),
            )
            yield self._stage(f"gen {generation} member {member}", request, needs)

    def evaluation(self, generation: int, members: list[Stage]) -> Stage:
        keys = tuple(member.key for member in members)
        request = Evaluate(
            self._frames, self._compute, members=keys, settings=self.config.evaluation, **self._components(Evaluate)
        )
        return self._stage(f"gen {generation} evaluation", request, list(keys))

    def _stage(self, part: str, request: Request, needs: list[str] | None = None) -> Stage:
        code = stage_fingerprint(kind_of(request).module, as_json(request))
        gpu_share = self.config.resources.gpu_share
        return Stage(f"{self.label} {part}", part, request, code, tuple(needs or ()), gpu_share)
