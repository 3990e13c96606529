"""Augmentations: linear maps within their ranges, blur against scipy, and where their random numbers come from."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

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
