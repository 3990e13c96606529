"""A lineage as a graph of stages: which stages a trial needs, and what exactly each of them asks for (paper 3).

          train_gan(seed) ──────────────┐
    train_member(g0,k) ×K ─ evaluate(g0) ─ train_member(g1,k) ×K ─ evaluate(g1) ─ ...

A request holds only what its stage uses, so that trials share every stage that does not differ between them:
generation 0 knows nothing of GANs, and the GAN nothing of U-Nets.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from cellab.components import instantiate
from cellab.contracts import Calibration, DataMix, ProminenceSchedule, Teacher
from cellab.contracts import Labelling as LabellingKind
from cellab.fingerprint import stage_fingerprint
from cellab.requests import (
    Calibrate,
    Compute,
    Evaluate,
    Generated,
    LabelFrames,
    LabelGenerated,
    Labels,
    Prominence,
    PseudoLabelling,
    Request,
    StoredFrames,
    Tiles,
    TrainGan,
    TrainMember,
    as_json,
)
from cellab.seeding import derive_seed
from cellab.settings import TrialConfig
from cellab.stage import Limits, Stage
from cellab.stage_kinds import kind_of


@dataclass(frozen=True)
class Generation:
    """One generation: the keys of its members' stages, of its calibration, if it has one, and of its evaluation."""

    members: tuple[str, ...]
    calibration: str | None
    evaluation: str


@dataclass(frozen=True)
class Lineage:
    """All stages of one trial, in an order in which each follows those that it reads."""

    arm: str
    seed: int
    stages: tuple[Stage, ...]
    generations: tuple[Generation, ...]
    gan: str | None


@dataclass(frozen=True)
class Rules:
    """The components by which a lineage is laid out; they know no seed, so that an arm's trials share them.

    Args:
        teacher: which parents a member needs.
        schedule: of prominence.
        mix: of the sources of crops.
        labelling: once for all members, or not.
        calibration: whether there is one.
    """

    teacher: Teacher
    schedule: ProminenceSchedule
    mix: DataMix
    labelling: LabellingKind
    calibration: Calibration

    @classmethod
    def of(cls, config: TrialConfig) -> "Rules":
        """Those of a configuration."""
        chosen = config.components
        return cls(
            teacher=instantiate(chosen["teacher"], "teacher", Teacher),
            schedule=instantiate(chosen["prominence_schedule"], "prominence_schedule", ProminenceSchedule),
            mix=instantiate(chosen["data_mix"], "data_mix", DataMix),
            labelling=instantiate(chosen["labelling"], "labelling", LabellingKind),
            calibration=instantiate(chosen["calibration"], "calibration", Calibration),
        )


def build_lineage(
    config: TrialConfig, arm: str, seed: int, data_digest: str, device: str, rules: Rules | None = None
) -> Lineage:
    """The stages of one trial.

    Args:
        config: of the trial (`cellab.compose`); its own `seed` is not used.
        arm: the arm's name, for the labels.
        seed: fixes initialisations, crops, dropout and noise of all stages.
        data_digest: of the data set's content.
        device: ``"cpu"`` or ``"cuda"``.
        rules: of the configuration, where they are built already.
    """
    rules = rules or Rules.of(config)
    schedule = rules.schedule
    builder = _Builder(config, f"{arm} seed={seed}".strip(), seed, data_digest, device, rules)
    shares = [rules.mix.shares(generation) for generation in range(config.lineage.generations)]

    stages: list[Stage] = []
    gan = builder.gan() if any(share["generated"] > 0 for share in shares) else None
    generations: list[Generation] = []
    parents: list[Stage] = []
    calibration: Stage | None = None
    for generation, share in enumerate(shares):
        labelling = None
        generator = gan if share["generated"] > 0 else None
        if generator and generator not in stages:
            stages.append(generator)
        if share["pseudo"] > 0 or generator:
            prominence = Prominence(schedule.pseudo(generation), schedule.share)
            labels = builder.labels(generation, share, prominence, parents, calibration, generator)
            stages += labels
            labelling = builder.labelling(prominence, parents, calibration, generator, labels)
        prominence = Prominence(schedule.labelled(generation), schedule.share)
        members = list(builder.members(generation, share, prominence, labelling))
        calibration = builder.calibration(generation, members)
        evaluation = builder.evaluation(generation, members, calibration)
        stages += [*members, *([calibration] if calibration else []), evaluation]
        keys = tuple(member.key for member in members)
        generations.append(Generation(keys, calibration.key if calibration else None, evaluation.key))
        parents = members
    return Lineage(arm, seed, tuple(stages), tuple(generations), gan.key if gan else None)


@dataclass(frozen=True)
class _Builder:
    config: TrialConfig
    label: str
    seed: int
    data_digest: str
    device: str
    rules: Rules

    def _components(self, request: type) -> dict[str, Any]:
        """Those that a request has places for, which are called by their kinds."""
        chosen = self.config.components
        return {field.name: chosen[field.name] for field in fields(request) if field.name in chosen}

    @property
    def _compute(self) -> Compute:
        return Compute(self.device, self.config.resources.threads, self.config.lineage.precision)

    @property
    def _frames(self) -> StoredFrames:
        return StoredFrames(self.data_digest, self.config.data.scale, self.config.data.hiding)

    @property
    def _tiles(self) -> Tiles:
        settings = self.config.evaluation
        return Tiles(settings.tile, settings.overlap, settings.batch_size)

    def gan(self) -> Stage:
        request = TrainGan(
            data=StoredFrames(self.data_digest, self.config.data.gan_scale),
            compute=replace(self._compute, precision="float32"),  # a GAN's layers are what they are
            seed=derive_seed(self.seed, "train_gan"),
            settings=self.config.gan,
            **self._components(TrainGan),
        )
        return self._stage("generator", request)

    def labels(
        self,
        generation: int,
        share: dict[str, float],
        prominence: Prominence,
        parents: list[Stage],
        calibration: Stage | None,
        gan: Stage | None,
    ) -> list[Stage]:
        """The stages in which the parents label for all members of a generation; none where members label crops."""
        labelling = self.rules.labelling
        keys = self._needed(parents)
        if not labelling.parts or not keys:
            return []
        shared: dict[str, Any] = {"data": self._frames, "compute": self._compute, "members": keys}
        stages = []
        for part in range(labelling.parts if share["pseudo"] > 0 else 0):
            of_part = LabelFrames(
                **shared, tiles=self._tiles, part=part, parts=labelling.parts, **self._components(LabelFrames)
            )
            stages.append(
                self._stage(f"gen {generation} labels {part + 1} of {labelling.parts}", of_part, list(keys), generation)
            )
        if gan:
            of_generated = LabelGenerated(
                **shared,
                seed=derive_seed(self.seed, "label_generated", generation),
                calibrated=calibration.key if calibration else None,
                generated=self._generated(gan),
                prominence=prominence.of_generated(self.config.pseudo_labels),
                size=self.config.training.crop_size,
                batch_size=self.config.pseudo_labels.batch_size,
                **self._components(LabelGenerated),
            )
            needs = [*keys, gan.key, *([calibration.key] if calibration else [])]
            stages.append(self._stage(f"gen {generation} labels of generated images", of_generated, needs, generation))
        return stages

    def _generated(self, gan: Stage) -> Generated:
        return Generated(gan.key, **self._components(Generated))

    def _needed(self, parents: list[Stage]) -> tuple[str, ...]:
        """Keys of those of the parents that the teacher needs."""
        return tuple(self.rules.teacher.parents([parent.key for parent in parents]))

    def labelling(
        self,
        prominence: Prominence,
        parents: list[Stage],
        calibration: Stage | None,
        gan: Stage | None,
        labels: list[Stage],
    ) -> PseudoLabelling:
        """How the members of a generation get pseudo-labels."""
        needed = self._needed(parents)
        frames = tuple(stage.key for stage in labels if isinstance(stage.request, LabelFrames))
        generated = [stage.key for stage in labels if isinstance(stage.request, LabelGenerated)]
        return PseudoLabelling(
            parents=() if labels else needed,
            labels=Labels(frames, generated[0] if generated else None) if labels else None,
            calibrated=calibration.key if calibration and needed else None,
            prominence=prominence,
            generated=self._generated(gan) if gan and not labels else None,
            settings=self.config.pseudo_labels,
            **self._components(PseudoLabelling),
        )

    def members(
        self, generation: int, shares: dict[str, float], prominence: Prominence, labelling: PseudoLabelling | None
    ) -> Iterator[Stage]:
        needs: list[str] = []
        if labelling:
            needs += [*labelling.parents, *([labelling.generated.key] if labelling.generated else [])]
            needs += [labelling.calibrated] if labelling.calibrated else []
            needs += labelling.labels.keys if labelling.labels else []
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
            yield self._stage(f"gen {generation} member {member}", request, needs, generation)

    def calibration(self, generation: int, members: list[Stage]) -> Stage | None:
        """None where no frame need be looked at."""
        if self.rules.calibration.split is None:
            return None
        keys = tuple(member.key for member in members)
        request = Calibrate(
            data=self._frames,
            compute=self._compute,
            members=keys,
            tiles=self._tiles,
            **self._components(Calibrate) | {"voting": self.config.evaluation.voting},
        )
        return self._stage(f"gen {generation} calibration", request, list(keys), generation)

    def evaluation(self, generation: int, members: list[Stage], calibration: Stage | None) -> Stage:
        keys = tuple(member.key for member in members)
        needs = [*keys, *([calibration.key] if calibration else [])]
        request = Evaluate(
            data=self._frames,
            compute=self._compute,
            members=keys,
            calibrated=calibration.key if calibration else None,
            settings=self.config.evaluation,
            **self._components(Evaluate),
        )
        return self._stage(f"gen {generation} evaluation", request, needs, generation)

    def _stage(
        self, part: str, request: Request, needs: list[str] | None = None, generation: int | None = None
    ) -> Stage:
        code = stage_fingerprint(kind_of(request).module, as_json(request))
        may = self.config.resources
        limits = Limits(may.gpu_share, may.stage_seconds, may.stall_seconds)
        only_for = None if self.config.lineage.sharing else self.label
        return Stage(f"{self.label} {part}", part, request, code, tuple(needs or ()), limits, generation, only_for)
