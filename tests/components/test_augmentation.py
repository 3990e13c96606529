"""Augmentations: linear maps within their ranges, blur against scipy, and where their random numbers come from."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline
from scipy.ndimage import gaussian_filter

from cellab_components.augmentation.strong import StrongAugmentation

STILL = {"rotation": 0, "zoom": [1, 1], "shear": 0, "flip_probability": 0, "appearance_probability": 0}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_contract(name, build):
    augmentation = build("augmentation", name)
    images = torch.rand(40, 1, 12, 10)
    before = images.clone()
    state = torch.get_rng_state()
    maps = augmentation.linear(7, generator())
    assert maps.shape == (7, 2, 2)
    assert maps.dtype == torch.float32
    assert (torch.linalg.det(maps).abs() > 0.5).all()
    assert torch.equal(maps, augmentation.linear(7, generator()))
    assert augmentation.linear(0, generator()).shape == (0, 2, 2)
    field = augmentation.displacement(7, 12, generator())
    if field is not None:
        assert field.shape == (7, 12, 12, 2)
        assert field.dtype == torch.float32
        assert torch.isfinite(field).all()
        assert torch.equal(field, augmentation.displacement(7, 12, generator()))
        assert augmentation.displacement(0, 12, generator()).shape == (0, 12, 12, 2)
    changed = augmentation.appearance(images, generator())
    assert changed.shape == images.shape
    assert changed.dtype == images.dtype
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert torch.equal(images, before)
    assert torch.equal(changed, augmentation.appearance(images, generator()))
    assert torch.equal(state, torch.get_rng_state())


def test_none_changes_nothing(build):
    augmentation = build("augmentation", "none")
    assert torch.equal(augmentation.linear(2, generator()), torch.eye(2).expand(2, 2, 2))
    images = torch.rand(2, 1, 4, 4)
    assert torch.equal(augmentation.appearance(images, generator()), images)


@pytest.mark.parametrize("straight", ["none", "flips", "paper"])
def test_straight_lines_stay_straight(build, straight):
    state = generator()
    before = state.get_state()
    assert build("augmentation", straight).displacement(3, 8, state) is None
    assert torch.equal(state.get_state(), before)


def test_flips_are_independent_and_even(build):
    maps = build("augmentation", "flips").linear(4000, generator())
    assert not maps[:, 0, 1].any()
    assert not maps[:, 1, 0].any()
    signs = maps.diagonal(dim1=1, dim2=2)
    assert torch.equal(signs.abs(), torch.ones(4000, 2))
    shares = [((signs == torch.tensor(pair)).all(1)).float().mean() for pair in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    assert all(0.22 < share < 0.28 for share in shares)


def test_flips_leave_the_appearance_alone(build):
    images = torch.rand(2, 1, 4, 4)
    assert torch.equal(build("augmentation", "flips").appearance(images, generator()), images)


def test_paper_with_everything_off_is_the_identity(build):
    augmentation = build("augmentation", "paper", **STILL)
    torch.testing.assert_close(augmentation.linear(3, generator()), torch.eye(2).expand(3, 2, 2))
    images = torch.rand(30, 1, 8, 8)
    assert torch.equal(augmentation.appearance(images, generator()), images)


def test_paper_rotates_rigidly_within_its_range(build):
    maps = build("augmentation", "paper", **{**STILL, "rotation": 30}).linear(2000, generator())
    torch.testing.assert_close(maps @ maps.mT, torch.eye(2).expand(2000, 2, 2))
    assert (torch.linalg.det(maps) > 0).all()
    angles = torch.atan2(maps[:, 1, 0], maps[:, 0, 0]) * 180 / math.pi
    assert -30 <= angles.min() < -29
    assert 29 < angles.max() <= 30.001


def test_paper_zoom_above_one_enlarges(build):
    maps = build("augmentation", "paper", **{**STILL, "zoom": [2, 2]}).linear(1, generator())
    # Two output pixels make one of the input, so what is shown is twice as large.
    torch.testing.assert_close(maps @ torch.tensor([2.0, 0.0]), torch.tensor([[1.0, 0.0]]))
    maps = build("augmentation", "paper", **{**STILL, "zoom": [0.8, 1.25]}).linear(2000, generator())
    zooms = torch.linalg.det(maps).rsqrt()
    assert 0.8 <= zooms.min() < 0.81
    assert 1.24 < zooms.max() <= 1.2501


def test_paper_shears_within_its_range_and_keeps_areas(build):
    maps = build("augmentation", "paper", **{**STILL, "shear": 0.2}).linear(2000, generator())
    torch.testing.assert_close(torch.linalg.det(maps), torch.ones(2000))
    assert -0.2 <= maps[:, 0, 1].min() < -0.19
    assert 0.19 < maps[:, 0, 1].max() <= 0.2
    assert not maps[:, 1, 0].any()


def test_paper_mirrors_half_of_the_crops(build):
    signs = torch.linalg.det(build("augmentation", "paper").linear(4000, generator())).sign()
    assert 0.46 < (signs < 0).float().mean() < 0.54


def test_paper_blur_against_scipy(build):
    arguments = {**STILL, "appearance_probability": 1, "noise": [0, 0], "blur": [1.3, 1.3]}
    images = torch.rand(3, 1, 20, 14)
    made = build("augmentation", "paper", **arguments).appearance(images, generator())
    for image, blurred in zip(images[:, 0].numpy(), made[:, 0].numpy(), strict=True):
        expected = gaussian_filter(image, 1.3, mode="nearest", radius=math.ceil(3 * 1.3))
        np.testing.assert_allclose(blurred, expected, atol=1e-5)


def test_paper_noise_has_its_deviation(build):
    arguments = {**STILL, "appearance_probability": 1, "noise": [0.05, 0.05], "blur": [0, 0]}
    images = torch.full((20, 1, 32, 32), 0.5)
    noise = build("augmentation", "paper", **arguments).appearance(images, generator()) - images
    assert abs(noise.mean()) < 0.002
    assert abs(noise.std() - 0.05) < 0.002
    assert not torch.equal(noise[0], noise[1])


def test_paper_blurs_and_makes_noise_jointly_and_seldom(build):
    augmentation = build("augmentation", "paper", noise=[0.0, 0.0], blur=[1, 1])
    noisy = build("augmentation", "paper", noise=[0.05, 0.05], blur=[0, 0])
    images = torch.rand(2000, 1, 6, 6)

    def changed(which):
        return (which.appearance(images, generator(3)) != images).flatten(1).any(dim=1)

    assert 0.08 < changed(augmentation).float().mean() < 0.12
    assert torch.equal(changed(augmentation), changed(noisy))


WEAK = {"amplitude": 0, "contrast": [1, 1], "gamma": [1, 1], "cutout_probability": 0}


def test_strong_with_its_own_parts_off_is_the_papers(build):
    strong, paper = build("augmentation", "strong", **WEAK), build("augmentation", "paper")
    assert torch.equal(strong.linear(9, generator(2)), paper.linear(9, generator(2)))
    assert strong.displacement(9, 16, generator()) is None
    images = torch.rand(30, 1, 8, 8)
    still = build("augmentation", "strong", **WEAK, appearance_probability=0)
    torch.testing.assert_close(still.appearance(images, generator()), images)
    random = generator()
    torch.rand(5, 30, generator=random)  # what grey values and cutout draw first
    torch.testing.assert_close(strong.appearance(images, generator()), paper.appearance(images, random))


def strong(**arguments):
    """Only what is asked for of the strong augmentation."""
    everything = {**STILL, "zoom": [1, 1], "blur": [0, 0], "noise": [0, 0], **WEAK, "spacing": 8, "cutout": 0.25}
    return StrongAugmentation(**{**everything, **arguments})


@settings(max_examples=20, deadline=None)
@given(size=st.integers(2, 50), spacing=st.floats(2, 40), amplitude=st.floats(0.1, 10), seed=st.integers(0, 99))
def test_elastic_is_smooth_and_never_longer_than_its_amplitude(size, spacing, amplitude, seed):
    field = strong(amplitude=amplitude, spacing=spacing).displacement(3, size, generator(seed))
    assert field.shape == (3, size, size, 2)
    assert field.abs().max() <= amplitude * 1.0001
    # The steepest there is: neighbouring control points at opposite ends, the distance between them apart.
    assert max(field.diff(dim=axis).abs().max() for axis in (1, 2)) <= 2 * amplitude / spacing * 1.0001


def test_elastic_against_scipys_splines():
    field = strong(amplitude=3, spacing=5).displacement(1, 17, generator())[0]
    points = 17 // 5 + 4
    offsets = 3 * (2 * torch.rand(1, 2, points, points, generator=generator())[0] - 1)
    knots = 5.0 * (np.arange(points + 4) - 3)  # so that pixel 0 is a knot, with a control point before it
    for axis in (0, 1):
        rows = BSpline(knots, offsets[axis].numpy(), 3)(np.arange(17))
        expected = BSpline(knots, rows.T, 3)(np.arange(17)).T
        np.testing.assert_allclose(field[..., axis], expected, atol=1e-4)


def test_elastic_moves_crops_differently_in_x_and_y_and_is_as_strong_as_it_says(build):
    field = build("augmentation", "strong", amplitude=10).displacement(500, 64, generator())
    assert not torch.allclose(field[0], field[1])
    assert not torch.allclose(field[..., 0], field[..., 1])
    assert 0.25 < field.std() / 10 < 0.35
    assert abs(field.mean()) < 0.2


def test_elastic_below_a_quarter_of_its_spacing_never_folds():
    field = strong(amplitude=2.0, spacing=8).displacement(300, 40, generator())
    x, y = field.unbind(3)
    along_x, along_y = (plane[:, :-1].diff(dim=2) for plane in (x, y))
    down_x, down_y = (plane[:, :, :-1].diff(dim=1) for plane in (x, y))
    assert ((1 + along_x) * (1 + down_y) - along_y * down_x > 0).all()


def test_contrast_keeps_the_mean_and_multiplies_the_deviation():
    images = 0.4 + 0.2 * torch.rand(6, 1, 9, 9)
    made = strong(contrast=[1.5, 1.5]).appearance(images, generator())
    torch.testing.assert_close(made.mean(dim=(1, 2, 3)), images.mean(dim=(1, 2, 3)))
    torch.testing.assert_close(made.std(dim=(1, 2, 3)), 1.5 * images.std(dim=(1, 2, 3)))


def test_gamma_is_an_exponent():
    images = torch.rand(3, 1, 9, 9)
    made = strong(gamma=[2, 2]).appearance(images, generator())
    torch.testing.assert_close(made, images.square())


def test_contrast_and_gamma_lie_in_their_ranges():
    images = torch.linspace(0.4, 0.6, 25).view(1, 1, 5, 5).repeat(1000, 1, 1, 1)
    spreads = strong(contrast=[0.7, 1.3]).appearance(images, generator()).std(dim=(1, 2, 3))
    factors = spreads / images.std(dim=(1, 2, 3))
    assert 0.699 < factors.min() < 0.71
    assert 1.29 < factors.max() < 1.301
    exponents = strong(gamma=[0.5, 2]).appearance(images, generator())[:, 0, 0, 0].log() / math.log(0.4)
    assert 0.499 < exponents.min() < 0.51
    assert 1.98 < exponents.max() < 2.001


def test_cutout_is_one_square_of_the_mean_for_its_share_of_images():
    images = torch.rand(2000, 1, 16, 16)
    made = strong(cutout_probability=0.3, cutout=0.25).appearance(images, generator())
    holes = ((made - images).abs() > 1e-6)[:, 0]
    cut = holes.flatten(1).any(dim=1)
    assert 0.27 < cut.float().mean() < 0.33
    heights, widths = holes.any(dim=2).sum(dim=1)[cut], holes.any(dim=1).sum(dim=1)[cut]
    assert torch.equal(holes.sum(dim=(1, 2))[cut], heights * widths)  # a rectangle
    assert set(heights.tolist()) == set(widths.tolist()) == {2, 3, 4}  # less than 4 at the border only
    at_border = holes.any(dim=2)[cut][:, [0, -1]].any(dim=1) | holes.any(dim=1)[cut][:, [0, -1]].any(dim=1)
    assert (heights[~at_border] == 4).all()
    assert (widths[~at_border] == 4).all()
    means = images.mean(dim=(1, 2, 3), keepdim=True).expand_as(images)
    torch.testing.assert_close(made[:, 0][holes], means[:, 0][holes])
    assert holes.any(dim=0).all()  # it may be anywhere
