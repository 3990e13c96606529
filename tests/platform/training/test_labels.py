"""Sources of what was labelled once: crops of frames, mask and probability through one map; gates by summed areas."""

import h5py
import numpy as np
import pytest
import torch

from cellab import components
from cellab.requests import Prominence, SourceReport
from cellab.training.crops import CropSource
from cellab.training.frames import Frames
from cellab.training.labels import GENERATED, FrameLabelSource, PoolSource, read_frames
from cellab.training.names import Counters

CPU = torch.device("cpu")
SIZE = 16
ANY = Prominence(0.0, 1.0)


def square(top: int, left: int, side: int = 20) -> np.ndarray:
    mask = np.zeros((60, 70), np.uint8)
    mask[top : top + side, left : left + side] = 1
    return mask


CELLS = [square(5, 5) | square(30, 40), square(20, 10)]
GIVEN = [square(5, 5), square(20, 10) * 0]
IMAGES = [200 * cells + 20 for cells in CELLS]


def make(probabilities=None, prominence=ANY, cut=0.5, acceptance="none", augmentation="none", annotated=None, **more):
    frames = Frames.of(IMAGES, CPU, GIVEN, CELLS, annotated)
    crops = CropSource(frames, SIZE, components.build("augmentation", augmentation), max_tries=200)
    return FrameLabelSource(
        crops,
        [cells * 255 for cells in CELLS] if probabilities is None else probabilities,
        prominence,
        cut,
        components.build("voting", "mean"),
        components.build("entropy", more.get("entropy", "paper")),
        components.build("acceptance", acceptance, **more.get("gate", {})),
        components.build("recombination", more.get("recombination", "union")),
        tries=8,
        least_yield=more.get("least_yield", 0.0),
        generator=torch.Generator().manual_seed(0),
    )


@pytest.mark.parametrize("augmentation", ["none", "flips", "paper"])
def test_image_mask_and_probability_go_through_one_map(augmentation):
    source = make(augmentation=augmentation, recombination="replace")
    batch = source.draw(64)
    assert batch.images.shape == batch.targets.shape == (64, 1, SIZE, SIZE)
    bright = (batch.images > 110 / 255).float()
    agree = (bright == batch.targets).float().mean()
    assert agree > (0.95 if augmentation == "paper" else 0.9999), "what is bright is a cell, wherever it was warped to"
    assert source.report().dice_accepted > 0.98


def test_given_masks_are_recombined_where_there_are_any():
    nothing = [np.zeros_like(cells) for cells in CELLS]
    first = make(nothing, annotated=np.array([True, False])).draw(200)
    assert first.targets.sum() > 0, "union keeps what is given"
    hidden = make(nothing, recombination="disagreement_is_ignored", annotated=np.array([True, False])).draw(200)
    assert (hidden.weights == 0).any()
    unknown = make(nothing, recombination="disagreement_is_ignored", annotated=np.array([False, False])).draw(200)
    assert (unknown.weights == 1).all()


def test_the_cut_decides():
    weak = [np.where(cells > 0, 80, 10).astype(np.uint8) for cells in CELLS]  # 0.31 and 0.04
    assert make(weak, recombination="replace").draw(50).targets.sum() == 0
    found = make(weak, cut=0.2, recombination="replace").draw(50)
    assert torch.equal((found.images > 0.4).float(), found.targets)


def test_a_source_that_yields_little_gives_up_once():
    source = make(least_yield=0.9)
    source.acceptance = lambda entropies, _votes: [number % 8 == 0 for number in range(len(entropies))]
    source.acceptance.threshold = 0.0
    assert 0 < len(source.draw(16)) < 16
    assert source.is_dry
    assert source.tally.counters.gave_up == 1


@pytest.mark.parametrize("entropy", ["paper", "binary", "mean_binary"])
def test_the_gate_sees_the_entropy_of_each_crop(entropy):
    rng = np.random.default_rng(0)
    probabilities = [rng.integers(0, 256, (60, 70), np.uint8) for _ in range(2)]
    source = make(probabilities, entropy=entropy, cut=0.3)
    places, _ = source.crops.places(50, ANY, torch.Generator().manual_seed(1))
    found = source.entropy.of_total(source.parts.totals(places, SIZE), SIZE**2)
    cut = torch.stack([torch.from_numpy(probabilities[f][y : y + SIZE, x : x + SIZE]) for f, y, x in places.tolist()])
    expected = source.entropy((cut[:, None].double() / 255 * 0.5 / 0.3).clamp(max=1))
    torch.testing.assert_close(found, expected)


def test_refused_crops_are_counted_and_a_gate_that_lets_none_pass_leaves_it_dry():
    source = make(acceptance="fixed", gate={"threshold": 0.0}, probabilities=[np.full((60, 70), 90, np.uint8)] * 2)
    assert not source.is_dry
    source.fill()
    assert source.is_dry
    counters = source.report().counters
    assert counters.gave_up == 1
    assert counters.tried == counters.rejected_by_entropy > 0
    assert make(acceptance="fixed", gate={"threshold": 0.0}).draw(20) is not None, "hard masks have no entropy"


def test_prominent_crops_are_a_share_whatever_the_gate_takes_first():
    source = make(prominence=Prominence(0.3, 0.5))
    drawn = torch.cat([source.crops.frames.areas.prominence(source._places(8), SIZE) for _ in range(60)])
    by_chance = torch.cat([make().crops.frames.areas.prominence(make()._places(8), SIZE) for _ in range(60)])
    expected = 0.5 + 0.5 * float((by_chance >= 0.3).double().mean())
    assert float((drawn >= 0.3).double().mean()) == pytest.approx(expected, abs=0.08)
    counters = source.report().counters
    assert counters.tried == counters.rejected_by_prominence + counters.accepted


def test_it_goes_on_from_its_state():
    one, two = make(acceptance="running_mean"), make(acceptance="running_mean")
    one.draw(9)
    two.load_state_dict(one.state_dict())
    two.generator.set_state(one.generator.get_state())
    first, second = one.draw(12), two.draw(12)
    assert torch.equal(first.images, second.images)
    assert one.report() == two.report()


def test_frames_are_put_together_from_their_parts(tmp_path):
    for part in range(2):
        (tmp_path / str(part)).mkdir()
        with h5py.File(tmp_path / str(part) / "frames.h5", "w") as file:
            for index in (11, 4, 9)[part::2]:
                file[str(index)] = np.full((3, 3), index, np.uint8)
    found = read_frames([tmp_path / "0", tmp_path / "1"], 3)
    assert [int(frame[0, 0]) for frame in found] == [4, 9, 11]


def test_a_pool_gives_its_images_and_an_empty_one_nothing(tmp_path):
    images = np.stack([np.full((SIZE, SIZE), value, np.uint8) for value in (50, 200)])
    report = SourceReport(Counters(tried=9, accepted=2), None, None, [])

    def pool(count: int) -> PoolSource:
        with h5py.File(tmp_path / GENERATED, "w") as file:
            file["images"], file["probabilities"] = images[:count], images[:count]
        flips, mean = components.build("augmentation", "flips"), components.build("voting", "mean")
        return PoolSource(tmp_path, report, flips, 0.5, mean, torch.Generator().manual_seed(0), CPU)

    batch = pool(2).draw(40)
    assert set((batch.images * 255).round().unique().tolist()) == {50, 200}
    assert torch.equal(batch.targets, (batch.images > 0.5).float())
    assert pool(0).is_dry
    assert pool(0).draw(3) is None
    assert pool(0).report() == report
