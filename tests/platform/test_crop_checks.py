"""The gate before hours of work: what training could not find is told by `plan`, by training's own numbers."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binom

from cellab import components
from cellab.crop_checks import MISSED, TrainingCrops, least_share
from cellab.data.dataset import SPLITS, Dataset
from cellab.data.writer import DatasetWriter
from cellab.errors import CellabError, ConfigError, DataError
from cellab.requests import Prominence
from cellab.study import Study
from cellab.training.crops import CropSource
from cellab.training.frames import Frames

FRAMES = 12
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes frames of 96 x 96, or of the sizes given, with the masks given; 7 of 12 for training."""

    def make(mask: Callable[[int], np.ndarray], name: str = "made.h5") -> Path:
        masks = [mask(index) for index in range(FRAMES)]
        size = max(each.shape[0] for each in masks), max(each.shape[1] for each in masks)
        with DatasetWriter(tmp_path / name, {1.0: size, 0.5: (size[0] // 2, size[1] // 2)}, FRAMES) as writer:
            for index, (each, letter) in enumerate(zip(masks, "tttttttvveee", strict=True)):
                split = dict(zip("tveu", SPLITS, strict=True))[letter]
                half = each[: each.shape[0] // 2 * 2 : 2, : each.shape[1] // 2 * 2 : 2]
                pyramid = {1.0: each, 0.5: half}
                writer.append(f"{index}", split, {s: np.full_like(m, 90) for s, m in pyramid.items()}, pyramid)
        return tmp_path / name

    return make


def square(side: int, frame: tuple[int, int] = (96, 96)) -> np.ndarray:
    mask = np.zeros(frame, np.uint8)
    mask[40 : 40 + side, 30 : 30 + side] = 1
    return mask


def test_objects_too_small_for_the_threshold_are_told_with_key_and_value(
    write: Write, study: Callable[..., Study]
) -> None:
    path = write(lambda _: square(4))
    with pytest.raises(ConfigError) as caught:
        study("unet.width", [4], f"data.path={path}")
    (told,) = [each for each in caught.value.mistakes if "generation 0" in each]
    assert "no crop of 32 × 32" in told
    assert "0.08" in told
    assert "the most prominent: 0.016" in told
    assert "lower prominence_schedule.labelled to 0.015" in told
    advised = study("unet.width", [4], f"data.path={path}", "prominence_schedule.labelled=0.015", *RELAXED)
    assert advised.trials, "what is advised passes"


RELAXED = ("prominence_schedule.pseudo_labels=[0.01]",)


def test_each_source_and_generation_has_its_threshold(write: Write, study: Callable[..., Study]) -> None:
    path = write(lambda _: square(4))
    with pytest.raises(ConfigError, match=r"generation 2 asks of its pseudo crops.*prominence_schedule\.pseudo_labels"):
        study(
            "unet.width",
            [4],
            f"data.path={path}",
            "generations=3",
            "prominence_schedule.labelled=0.01",
            "prominence_schedule.pseudo_labels=[0.01,0.9]",
        )
    only_labelled = ["generations=1", "prominence_schedule.labelled=0.01"]
    assert study("unet.width", [4], f"data.path={path}", *only_labelled).trials, "pseudo-labels are not asked for"


def test_crops_too_rare_to_be_found_are_told(write: Write, study: Callable[..., Study]) -> None:
    path = write(lambda index: square(30) if index == 0 else square(2))
    arguments = (f"data.path={path}", "generations=1", "prominence_schedule.labelled=0.85")
    with pytest.raises(ConfigError, match=r"only one in [\d,]+ crops .* after 1,000 \(training\.max_tries\)") as caught:
        study("unet.width", [4], *arguments, "training.max_tries=1000")
    (advised,) = re.findall(r"raise training\.max_tries to (\d+)", str(caught.value))
    assert study("unet.width", [4], *arguments, f"training.max_tries={advised}").trials, "what is advised passes"
    assert study("unet.width", [4], *arguments, "training.max_tries=1000000").trials


@pytest.mark.parametrize("threshold", [0.0, 0.01, 0.3, 0.7, 0.99, 1.0])
def test_the_share_is_the_one_that_training_meets(write: Write, threshold: float) -> None:
    def mask(index: int) -> np.ndarray:
        return (np.random.default_rng(index).random((6, 6 + index)) < 0.4).astype(np.uint8).repeat(8, 0).repeat(8, 1)

    with Dataset.open(write(mask)) as data:
        crops = TrainingCrops(data, 1.0, 16, "given")
        assert crops.reach(threshold, 2.0, only_annotated=True) is False, "it looks at every frame"
        expected = crops.share(threshold, only_annotated=True)
        masks = data.masks(1.0, data.indices("train"))
    frames = Frames.of(masks, torch.device("cpu"), masks)
    source = CropSource(frames, 16, components.build("augmentation", "none"), max_tries=100)
    try:
        drawn = source.draw(2000, Prominence(threshold, 1.0), torch.Generator().manual_seed(0))
    except CellabError:
        assert expected < 0.01
        return
    assert 2000 / drawn.tried == pytest.approx(expected, abs=0.035)


@pytest.mark.parametrize(("tries", "count"), [(10_000, 1), (10_000, 16), (50, 4)])
def test_the_least_share_is_where_draws_begin_to_give_up(tries: int, count: int) -> None:
    share = least_share(tries, count)
    assert binom.cdf(count - 1, tries * count, share) == pytest.approx(MISSED, rel=0.9)
    assert binom.cdf(count - 1, tries * count, share / 2) > 50 * MISSED


def test_a_threshold_of_zero_is_never_too_high(write: Write, study: Callable[..., Study]) -> None:
    path = write(lambda _: square(4))
    nothing = ("prominence_schedule=constant", "prominence_schedule.labelled=0", "prominence_schedule.pseudo_labels=0")
    assert study("unet.width", [4], f"data.path={path}", *nothing, "training.max_tries=1").trials


def test_a_question_that_is_answered_early_reads_no_further(write: Write) -> None:
    with Dataset.open(write(lambda _: np.ones((96, 96), np.uint8))) as data:
        read: list[int] = []
        masks = data.masks
        data.masks = lambda scale, indices: read.extend(indices) or masks(scale, indices)  # type: ignore[method-assign]
        assert TrainingCrops(data, 1.0, 32, "given").reach(0.5, 0.1, only_annotated=True)
        assert len(read) == 1


def test_crops_larger_than_the_smallest_training_frame(write: Write, study: Callable[..., Study]) -> None:
    path = write(lambda index: square(20, (80, 90) if index == 3 else (120, 100)))
    with pytest.raises(ConfigError, match=r"96 is larger than 1 training frames; 3 is 80 × 90 .* at most 80 fits all"):
        study(
            "unet.width", [4], f"data.path={path}", "training.crop_size=96", "generator.size=32", "data.gan_scale=0.5"
        )


def test_a_split_without_an_object(write: Write, study: Callable[..., Study]) -> None:
    path = write(lambda index: square(30) * (index < 9))
    with pytest.raises(DataError, match="the test masks are all zeros at scale 1"):
        study("unet.width", [4], f"data.path={path}")
