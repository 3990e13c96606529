"""Studies at smoke scale for the engine's tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cellab.ablation import Ablation
from cellab.requests import Compute, StoredFrames, TrainGan
from cellab.settings import Gan
from cellab.stage import Stage
from cellab.study import Study, build_study

FEWER = ["training.steps=2", "members=1", "acceptance=none", "evaluation.train_frames=2", "gan.steps=2"]


@pytest.fixture(scope="session")
def stage() -> Stage:
    """A stage that trains a GAN, of which nothing but its key matters."""
    named = {"_target_": "a.Component"}
    settings = Gan(steps=1, batch_size=1, samples=1, crop_augmentation=named)
    request = TrainGan(
        StoredFrames("digest", 0.5), Compute("cpu", 1, "float32"), 1, named, named, named, named, named, settings
    )
    return Stage("a seed=0 generator", "generator", request, "code")


@pytest.fixture
def study(phantom: Path) -> Callable[..., Study]:
    """Makes a small one-factor study: `study("gan_loss", ["wgan", "ns"], "more=overrides", seeds=[0])`."""

    def make(factor: str, values: list[object], *overrides: str, seeds: tuple[int, ...] = (0,)) -> Study:
        ablation = Ablation(
            name="small",
            question="Does it run?",
            design="one_factor",
            content={"baseline": {factor: values[0]}, "factors": {factor: list(values)}},
            seeds=list(seeds),
            rank_by="dice",
            overrides=[f"data.path={phantom}", "scale=smoke", *FEWER, *overrides],
        )
        return build_study("small", ablation)

    return make
