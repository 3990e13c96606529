"""A lineage as a graph of stages: which stages a trial needs, and what exactly each of them asks for (paper 3).

          train_gan(seed) ──────────────┐
    train_member(g0,k) ×K ─ evaluate(g0) ─ train_member(g1,k) ×K ─ evaluate(g1) ─ ...

A request holds only what its stage uses, so that trials share every stage that does not differ between them:
generation 0 knows nothing of GANs, and the GAN nothing of U-Nets.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cellab.components import instantiate
from cellab.contracts import DataMix, ProminenceSchedule, Teacher
from cellab.fingerprint import stage_fingerprint
from cellab.stage import Kind, Stage

SOURCES = ("labelled", "pseudo", "generated")


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


def derive_seed(seed: int, *words: object) -> int:
    """An independent 63-bit seed for each use, from a trial's seed."""
    text = "/".join(map(str, (seed, *words)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def build_lineage(config: dict[str, Any], arm: str, seed: int, data_digest: str, device: str) -> Lineage:
    """The stages of one trial.

    Args:
        config: resolved configuration of the trial (`cellab.compose`); its own `seed` is not used.
        arm: the arm's name, for the labels.
        seed: fixes initialisations, crops, dropout and noise of all stages.
        data_digest: of the data set's content.
        device: ``"cpu"`` or ``"cuda"``.
    """
    inherits = instantiate(config["teacher"], "teacher", Teacher).inherits
    builder = _Builder(config, f"{arm} seed={seed}".strip(), seed, data_digest, device, inherits)
    schedule = instantiate(config["prominence_schedule"], "prominence_schedule", ProminenceSchedule)
    mix = instantiate(config["data_mix"], "data_mix", DataMix)
    shares = [mix.shares(generation) for generation in range(config["generations"])]

    stages: list[Stage] = []
    gan = builder.gan() if any(share["generated"] > 0 for share in shares) else None
    generations: list[Generation] = []
    parents: list[Stage] = []
    for generation, share in enumerate(shares):
        prominence = {"labelled": schedule.labelled(generation)}
        if generation:
            prominence["pseudo"] = schedule.pseudo(generation)
        if gan and share["generated"] > 0 and gan not in stages:
            stages.append(gan)
        members = list(builder.members(generation, share, prominence, parents, gan))
        evaluation = builder.evaluation(generation, members)
        stages += [*members, evaluation]
        generations.append(Generation(tuple(member.key for member in members), evaluation.key))
        parents = members
    return Lineage(arm, seed, tuple(stages), tuple(generations), gan.key if gan else None)


@dataclass(frozen=True)
class _Builder:
    config: dict[str, Any]
    label: str
    seed: int
    data_digest: str
    device: str
    inherits: bool

    def gan(self) -> Stage:
        parts = ("generator", "discriminator", "discriminator_ensemble", "gan_loss", "gan_augmentation", "gan")
        return self._stage(
            "train_gan",
            "generator",
            {**{part: self.config[part] for part in parts}, "seed": derive_seed(self.seed, "train_gan")},
            scale=self.config["data"]["gan_scale"],
        )

    def members(
        self,
        generation: int,
        shares: dict[str, float],
        prominence: dict[str, float],
        parents: list[Stage],
        gan: Stage | None,
    ) -> Iterator[Stage]:
        asked = {part: self.config[part] for part in ("unet", "segmentation_loss", "augmentation", "training")}
        asked |= {"labels": self.config["data"]["labels"], "shares": shares}
        asked |= {"labelled_prominence": prominence["labelled"]}
        needs: list[str] = []
        if shares["pseudo"] > 0 or shares["generated"] > 0:
            parts = ("teacher", "voting", "entropy", "acceptance", "recombination", "pseudo_labels")
            asked |= {part: self.config[part] for part in parts}
            asked |= {"pseudo_prominence": prominence["pseudo"]}
            if self.inherits:
                needs += [parent.key for parent in parents]
                asked |= {"parents": list(needs)}
        if shares["generated"] > 0:
            assert gan is not None
            needs.append(gan.key)
            asked |= {"gan": gan.key}
        for member in range(self.config["members"]):
            seed = derive_seed(self.seed, "train_member", generation, member)
            yield self._stage("train_member", f"gen {generation} member {member}", {**asked, "seed": seed}, needs)

    def evaluation(self, generation: int, members: list[Stage]) -> Stage:
        keys = [member.key for member in members]
        asked = {"members": keys, "evaluation": self.config["evaluation"]}
        return self._stage("evaluate", f"gen {generation} evaluation", asked, keys)

    def _stage(
        self, kind: Kind, label: str, asked: dict[str, Any], needs: list[str] | None = None, scale: float | None = None
    ) -> Stage:
        request = {
            "stage": kind,
            **asked,
            "data": {"digest": self.data_digest, "scale": scale or self.config["data"]["scale"]},
            "resources": {"device": self.device, "threads": self.config["resources"]["threads"]},
            "code": stage_fingerprint(kind, asked),
        }
        gpu_share = self.config["resources"]["gpu_share"]
        return Stage(kind, f"{self.label} {label}", request, tuple(needs or ()), gpu_share)
