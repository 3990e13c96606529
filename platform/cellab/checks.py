"""Checks a trial's configuration against its data set and its components' own rules, before any compute."""

import math
from collections.abc import Iterator, Mapping
from typing import cast

from cellab.components import instantiate
from cellab.contracts import Calibration, Generator, SegmentationLoss
from cellab.crop_checks import CropChecks, does_not_fit
from cellab.data.dataset import Dataset
from cellab.rehearsal import build_all, gan_mistakes, member_mistakes
from cellab.settings import TrialConfig, target_of


def check_trial(config: TrialConfig, data: Dataset, crops: CropChecks) -> list[str]:
    """All that is wrong with a composed trial.

    Every component is built once, and every optimiser takes a step, so that each rejects impossible arguments itself.

    Args:
        config: of the trial.
        data: the data set that it names.
        crops: of its training frames, the same for all trials of a study.

    Returns:
        One sentence per mistake.
    """
    built, mistakes = build_all(config)
    mistakes += member_mistakes(config.training)
    if "gan_loss" in built:
        mistakes += gan_mistakes(config.components["gan_loss"], built["gan_loss"])
    mistakes += _scale_mistakes(config, data) or [
        *_size_mistakes(config, data, built),
        *_label_mistakes(config, data, built),
        *(crops.mistakes(config) if {"prominence_schedule", "data_mix"} <= set(built) else ()),
    ]
    return mistakes


def notices(config: TrialConfig) -> Iterator[str]:
    """What can be run, but should be known: one sentence each.

    Args:
        config: of a trial without mistakes.
    """
    calibration = instantiate(config.components["calibration"], "calibration", Calibration)
    loss = instantiate(config.components["segmentation_loss"], "segmentation_loss", SegmentationLoss)
    if calibration.split is not None and not getattr(loss, "is_proper", True):
        yield (
            f"calibration: {target_of(config.components['calibration'])} takes a member's outputs for probabilities, "
            f"and {target_of(config.components['segmentation_loss'])} does not make them any: bce does."
        )


def _label_mistakes(config: TrialConfig, data: Dataset, built: Mapping[str, object]) -> Iterator[str]:
    """What calibration and shared labels need, and do not have."""
    split = getattr(built.get("calibration"), "split", None)
    if split is not None and not data.annotated[data.indices(split)].any():
        other = "train" if split == "validation" else "validation"
        yield (
            f"calibration.split: no {split} frame of {data.path} has a mask to go by: use calibration.split={other}, "
            f"or calibration=none."
        )
    if not getattr(built.get("labelling"), "parts", 0):
        return
    if getattr(built.get("teacher"), "pairs_age", False):
        yield (
            f"labelling: {target_of(config.components['teacher'])} labels otherwise as each member learns, so that "
            f"nothing can be labelled once for all: use labelling=crops."
        )
    if getattr(built.get("acceptance"), "needs_votes", False):
        yield (
            f"labelling: {target_of(config.components['acceptance'])} looks at the vote of each parent, and of frames "
            f"their mean is kept: use labelling=crops, or another acceptance."
        )
    if "entropy" in built and not hasattr(built["entropy"], "pixels"):
        yield (
            f"labelling: {target_of(config.components['entropy'])} has no `pixels` and `of_total`, by which crops of "
            f"labelled frames are measured: use labelling=crops."
        )


def _scale_mistakes(config: TrialConfig, data: Dataset) -> list[str]:
    """What the data set does not have."""
    there = ", ".join(f"{each:g}" for each in data.scales)
    scales = {"data.scale": config.data.scale, "data.gan_scale": config.data.gan_scale}
    mistakes = [
        f"{key}: {data.path} has no frames at scale {value:g}; it has {there}."
        for key, value in scales.items()
        if value not in data.scales
    ]
    if config.data.labels == "truth" and not data.has_truth:
        mistakes.append(f"data.labels: {data.path} has no truth to learn from: use given.")
    return mistakes


def _size_mistakes(config: TrialConfig, data: Dataset, built: Mapping[str, object]) -> Iterator[str]:
    crop, scale = config.training.crop_size, config.data.scale
    stride = getattr(built.get("unet"), "stride", 1)
    sizes = {"evaluation.tile": config.evaluation.tile, "training.crop_size": crop}  # often one and the same
    for size, key in {size: key for key, size in sizes.items()}.items():
        if size % stride:
            near = _near(size, stride, data, scale)
            yield f"{key}: {size} is not divisible by the U-Net's stride of {stride}; {near}"
    if "generator" in built:
        yield from _gan_mistakes(config, data, cast(Generator, built["generator"]).size, crop)


def _near(size: int, stride: int, data: Dataset, scale: float) -> str:
    largest = int(data.sizes(scale).min()) // stride * stride
    if not largest:
        return "no crop of the frames is: choose fewer blocks."
    return f"{min(largest, max(stride, round(size / stride) * stride))} is."


def _gan_mistakes(config: TrialConfig, data: Dataset, size: int, crop: int) -> Iterator[str]:
    scale, gan_scale = config.data.scale, config.data.gan_scale
    if misfit := does_not_fit("generator.size", size, data, gan_scale):
        yield misfit
    if config.components["discriminator"].get("size", size) != size:
        yield f"discriminator.size: {config.components['discriminator']['size']} is not generator.size, {size}."
    wanted = crop * gan_scale / scale
    if size != wanted:
        remedies = [f"training.crop_size={size * scale / gan_scale:g}"]
        if wanted >= 8 and math.log2(wanted).is_integer():
            remedies.append(f"generator.size={wanted:g} discriminator.size={wanted:g}")
        yield (
            f"generator.size: {size} pixels at scale {gan_scale:g} do not show what a crop of {crop} at scale "
            f"{scale:g} shows: set {', or '.join(remedies)}."
        )
