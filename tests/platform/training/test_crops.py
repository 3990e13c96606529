"""Crops: where they come from, what the warp does, and prominence."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cellab.errors import CellabError
from cellab.requests import Prominence
from cellab.training.crops import CropSource, warp
from cellab.training.frames import Frames
from cellab.training.planes import Planes

CPU = torch.device("cpu")
SIZE = 16


class Still:
    """No augmentation."""

    def linear(self, count, generator):
        return torch.eye(2).expand(count, 2, 2)

    def displacement(self, count, size, generator):
        return None

    def appearance(self, images, generator):
        return images


def at_least(threshold: float) -> Prominence:
    return Prominence(threshold, 1.0)


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def planes():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 40, 50), np.uint8)
    masks = np.zeros((3, 40, 50), np.uint8)
    masks[0, 5:25, 10:30] = 1
    masks[2, :, :8] = 1
    return frames, masks


def source(planes, augmentation=None, max_tries=10_000, **more) -> CropSource:
    images, masks = planes
    return CropSource(Frames.of(images, CPU, masks, **more), SIZE, augmentation or Still(), max_tries=max_tries)


def test_without_augmentation_crops_are_cut_from_the_frames(planes):
    frames, masks = planes
    crops = source(planes).draw(20, at_least(0.0), stream())
    assert crops.images.shape == crops.masks.shape == (20, 1, SIZE, SIZE)
    cuts = {
        frames[f, y : y + SIZE, x : x + SIZE].tobytes(): masks[f, y : y + SIZE, x : x + SIZE]
        for f in range(3)
        for y in range(40 - SIZE + 1)
        for x in range(50 - SIZE + 1)
    }
    for image, mask in zip(crops.images[:, 0], crops.masks[:, 0], strict=True):
        found = (image * 255).round().to(torch.uint8).numpy().tobytes()
        assert found in cuts
        np.testing.assert_array_equal(mask.numpy(), cuts[found])


@given(st.floats(0.01, 0.7), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_every_crop_reaches_the_threshold_and_rejections_are_counted(threshold, seed):
    rng = np.random.default_rng(1)
    masks = (rng.random((2, 8, 8)) < 0.3).astype(np.uint8).repeat(5, 1).repeat(5, 2)
    made = source((np.zeros((2, 40, 40), np.uint8), masks), max_tries=5000)
    try:
        crops = made.draw(4, at_least(threshold), stream(seed))
    except CellabError:
        return  # none so prominent
    assert (crops.masks.mean(dim=(1, 2, 3)) >= threshold - 1e-6).all()
    assert crops.tried == crops.rejected + 4


def test_prominence_by_summed_areas_is_the_mean_of_the_mask(planes):
    made = source(planes)
    candidates = made._candidates(200, stream(), made.all)
    expected = [planes[1][f, y : y + SIZE, x : x + SIZE].mean() for f, y, x in candidates.tolist()]
    np.testing.assert_allclose(made._prominence(candidates).numpy(), expected)


def test_a_threshold_out_of_reach_is_an_error(planes):
    with pytest.raises(CellabError, match=r"16 x 16.*reaches 0\.9.*lower prominence_schedule"):
        source((planes[0], np.zeros_like(planes[1])), max_tries=50).draw(2, at_least(0.9), stream())


def test_labelled_crops_come_from_annotated_frames_alone(planes):
    frames = np.stack([np.full((40, 50), value, np.uint8) for value in (10, 20, 30)])
    made = source((frames, planes[1]), annotated=np.array([True, False, True]))

    def seen(**options) -> set[int]:
        images = made.draw(60, at_least(0.0), stream(), **options).images
        return {round(float(value)) for value in images.amax((1, 2, 3)) * 255}

    assert seen(only_annotated=True) == {10, 30}
    assert seen() == {10, 20, 30}


def test_the_same_stream_gives_the_same_crops(planes):
    one, two = (source(planes).draw(8, at_least(0.1), stream(4)) for _ in range(2))
    assert torch.equal(one.images, two.images)
    assert not torch.equal(one.images, source(planes).draw(8, at_least(0.1), stream(5)).images)


QUARTER = torch.tensor([[0.0, -1.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("linear", "expected"),
    [
        (torch.eye(2), lambda a: a),
        (torch.diag(torch.tensor([-1.0, 1.0])), lambda a: a[:, ::-1]),
        (torch.diag(torch.tensor([1.0, -1.0])), lambda a: a[::-1]),
        (QUARTER, lambda a: np.rot90(a, 1)),
    ],
)
def test_the_warp_is_exact_for_flips_and_quarter_turns(linear, expected):
    frame = np.random.default_rng(0).integers(0, 256, (1, 1, 30, 34), np.uint8)
    out = warp(Planes.of_images(torch.from_numpy(frame)), torch.tensor([[0, 7, 9]]), linear[None], SIZE)[0, 0].numpy()
    np.testing.assert_allclose(out, expected(frame[0, 0, 7:23, 9:25]), atol=1e-3)


def test_the_warp_reproduces_a_linear_ramp():
    """Bilinear sampling of a ramp is exact, so every output pixel tells where it was taken."""
    rows, columns = np.mgrid[:60, :60].astype(np.float32)
    angle = 0.3
    linear = 0.8 * torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=torch.float32)
    planes = Planes.of_images(torch.from_numpy(np.stack([columns, rows])[None]))
    x, y = warp(planes, torch.tensor([[0, 20, 22]]), linear[None], SIZE)[0].numpy()
    offset = np.arange(SIZE) - (SIZE - 1) / 2
    u, v = np.meshgrid(offset, offset)
    centre = (SIZE - 1) / 2
    matrix = linear.numpy()
    np.testing.assert_allclose(x, 22 + centre + matrix[0, 0] * u + matrix[0, 1] * v, atol=1e-3)
    np.testing.assert_allclose(y, 20 + centre + matrix[1, 0] * u + matrix[1, 1] * v, atol=1e-3)


def test_displacements_add_to_the_linear_map():
    rows, columns = np.mgrid[:60, :60].astype(np.float32)
    linear = torch.tensor([[[0.0, -1.0], [1.0, 0.0]]])
    planes = Planes.of_images(torch.from_numpy(np.stack([columns, rows])[None]))
    places = torch.tensor([[0, 20, 22]])
    field = 5 * torch.rand(1, SIZE, SIZE, 2, generator=stream())
    straight, displaced = warp(planes, places, linear, SIZE), warp(planes, places, linear, SIZE, field)
    torch.testing.assert_close(displaced, straight + field.permute(0, 3, 1, 2), atol=1e-3, rtol=0)


def test_beyond_the_border_the_frame_is_mirrored():
    frame = torch.arange(SIZE, dtype=torch.float32).expand(1, 1, SIZE, SIZE)
    out = warp(Planes.of_images(frame), torch.tensor([[0, 0, 0]]), 1.5 * torch.eye(2)[None], SIZE)[0, 0]
    assert float(out.min()) >= 0
    assert float(out.max()) <= SIZE - 1
    assert out[0, 0] == pytest.approx(float(out[0, 5]), abs=0.51), "left of the border comes what is right of it"


def test_masks_stay_binary_and_truth_is_warped_alike(planes):
    class Turning(Still):
        def linear(self, count, generator):
            angle = torch.rand(count, generator=generator) * 6
            return torch.stack(
                [torch.stack([angle.cos(), -angle.sin()], -1), torch.stack([angle.sin(), angle.cos()], -1)], -2
            )

    made = source(planes, Turning(), truths=planes[1])
    crops = made.draw(12, at_least(0.1), stream())
    assert set(crops.masks.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(crops.masks, crops.truths)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_crops_is_prominent(planes, share):
    crops = source(planes).draw(400, Prominence(0.5, share), stream())
    prominent = (crops.masks.mean(dim=(1, 2, 3)) >= 0.5).float().mean()
    of_all = (source(planes).draw(400, at_least(0.0), stream(1)).masks.mean(dim=(1, 2, 3)) >= 0.5).float().mean()
    assert prominent == pytest.approx(share + (1 - share) * float(of_all), abs=0.07)
    assert crops.tried == crops.rejected + 400


@pytest.mark.parametrize("size", [4, 30, 90])
def test_squares_are_the_same_cut_one_by_one_and_by_one_index(size):
    rng = np.random.default_rng(0)
    shapes = [(40, 50), (31, 64), (1, 9), (33, 32)]
    channels = [[rng.integers(0, 256, shape, np.uint8) for shape in shapes] for _ in range(2)]
    planes = Planes.of_frames(channels, CPU)
    places = torch.tensor([[f, top, left] for f in range(4) for top in (-60, -7, 0, 9, 45) for left in (-3, 1, 40)])
    cut = planes.sliced(places, size)
    torch.testing.assert_close(cut, planes.gathered(places, size), rtol=0, atol=0)
    for square, (frame, top, left) in zip(cut, places.tolist(), strict=True):
        reach = 200
        padded = np.pad(
            np.stack([channel[frame] for channel in channels]), [(0, 0), (reach,) * 2, (reach,) * 2], "reflect"
        )
        np.testing.assert_array_equal(square, padded[:, reach + top :, reach + left :][:, :size, :size])


@pytest.mark.parametrize("together", [1, 2**13, 2**40])
def test_crops_are_the_same_however_many_are_warped_together(monkeypatch, together):
    rng = np.random.default_rng(0)
    planes = Planes.of_images(torch.from_numpy(rng.integers(0, 256, (3, 2, 70, 90), np.uint8)))
    count, size = 20, 41
    places = torch.from_numpy(np.stack([rng.integers(0, high, count) for high in (3, 29, 49)], axis=1))
    linear = torch.from_numpy(rng.uniform(-1.5, 1.5, (count, 2, 2)).astype(np.float32))
    displacement = torch.from_numpy(rng.uniform(-6, 6, (count, size, size, 2)).astype(np.float32))
    monkeypatch.setattr("cellab.training.crops._CACHED_VALUES", together)
    alone = [warp(planes, places[i : i + 1], linear[i : i + 1], size, displacement[i : i + 1]) for i in range(count)]
    torch.testing.assert_close(warp(planes, places, linear, size, displacement), torch.cat(alone), atol=0.02, rtol=0)
