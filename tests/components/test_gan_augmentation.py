"""Augmentations of what discriminators see: differentiable, reproducible, and each policy what it says."""

import pytest
import torch
from torch.nn import functional as F

OFF = {"brightness": 0, "contrast": 0, "translation": 0, "cutout": 0}


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def only(build, **strengths):
    return build("gan_augmentation", "diffaugment", **{**OFF, **strengths})


@pytest.mark.usefixtures("_deterministic")
@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (5, 1, 32, 32), (3, 2, 16, 24)])
def test_contract(name, build, shape):
    augment = build("gan_augmentation", name)
    images = torch.rand(shape, requires_grad=True)
    with torch.no_grad():
        images.mul_(2).sub_(1)
    state = torch.get_rng_state()
    made = augment(images, stream())
    assert torch.equal(state, torch.get_rng_state())
    assert made.shape == images.shape
    assert made.dtype == images.dtype
    assert torch.isfinite(made).all()
    assert torch.equal(made, augment(images, stream()))
    made.square().mean().backward()
    assert images.grad.flatten(1).any(dim=1).all()


def test_a_double_backward_passes(name, build):
    images = torch.rand(2, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    augment = build("gan_augmentation", name)
    assert torch.autograd.gradcheck(lambda x: augment(x, stream()), images)
    assert torch.autograd.gradgradcheck(lambda x: augment(x, stream()).pow(3), images)


def test_identity_at_zero_strengths(build):
    images = torch.rand(4, 1, 16, 16)
    assert torch.equal(only(build)(images, stream()), images)


def test_other_seeds_make_other_images(build):
    augment = build("gan_augmentation", "diffaugment")
    images = torch.rand(1, 1, 16, 16).expand(4, 1, 16, 16)
    made = augment(images, stream())
    assert not torch.equal(made, augment(images, stream(1)))
    assert not any(torch.equal(made[0], other) for other in made[1:])


def test_real_and_generated_images_of_one_generator_differ_in_their_numbers(build):
    augment = build("gan_augmentation", "diffaugment")
    images, shared = torch.rand(4, 1, 16, 16), stream()
    assert not torch.equal(augment(images, shared), augment(images, shared))


def test_brightness_moves_all_of_an_image_by_one_number(build):
    images = torch.rand(3000, 1, 4, 4)
    moved = (only(build, brightness=0.5)(images, stream()) - images).flatten(1)
    torch.testing.assert_close(moved, moved[:, :1].expand_as(moved))
    assert moved.abs().max() <= 0.5 + 1e-6
    assert moved.min() < -0.49
    assert moved.max() > 0.49


def test_contrast_scales_about_the_mean(build):
    images = torch.rand(3000, 1, 4, 4)
    made = only(build, contrast=0.25)(images, stream())
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    factors = (made.std(dim=(1, 2, 3)) / images.std(dim=(1, 2, 3))).view(-1, 1, 1, 1)
    torch.testing.assert_close(made, factors * (images - mean) + mean)
    assert 0.75 - 1e-4 < factors.min() < 0.76
    assert 1.24 < factors.max() < 1.25 + 1e-4


@pytest.mark.parametrize(("strength", "reach"), [(0.125, 2), (1, 16)])
def test_translation_is_a_whole_number_of_pixels_into_grey(build, strength, reach):
    images = torch.rand(1, 1, 16, 16).expand(1200, 1, 16, 16) + 1
    made = only(build, translation=strength)(images, stream())
    padded = F.pad(images[:1], (reach,) * 4)
    windows = F.unfold(padded, 16)[0].T  # every shift there is, from down and right to up and left
    distances = torch.cdist(made.flatten(1), windows, compute_mode="donot_use_mm_for_euclid_dist")
    assert not distances.min(dim=1).values.any()
    if reach == 2:
        counts = torch.bincount(distances.argmin(dim=1), minlength=25)
        assert counts.min() > 20  # 48 expected of each of the 25 shifts
    else:
        assert made.flatten(1).any(dim=1).float().mean() < 1  # some left the image


def test_cutout_is_a_square_that_may_reach_over_the_border(build):
    images = torch.ones(500, 1, 16, 16)
    made = only(build, cutout=0.5)(images, stream())
    assert set(made.unique().tolist()) == {0, 1}
    for image in made[:, 0]:
        rows, columns = (image == 0).any(dim=1), (image == 0).any(dim=0)
        assert torch.equal(image == 0, rows[:, None] & columns)
        for line in (rows, columns):
            places = torch.nonzero(line).flatten()
            assert 4 <= len(places) <= 8
            assert len(places) == places[-1] - places[0] + 1
    assert ((made == 0).sum(dim=(1, 2, 3)) == 64).any()
    assert (made == 0).any(dim=0).all()


@pytest.mark.parametrize("policy", sorted(OFF))
def test_switching_a_policy_off_leaves_the_others_numbers(build, policy):
    """Cutout's hole and translation's shift, the only ones read off easily, are where they were."""
    images = torch.ones(20, 1, 16, 16)
    full = build("gan_augmentation", "diffaugment")(images, stream())
    less = build("gan_augmentation", "diffaugment", **{policy: 0})(images, stream())
    if policy in ("brightness", "contrast"):
        assert torch.equal(full == 0, less == 0)
    elif policy == "cutout":
        assert torch.equal(full[full != 0], less[full != 0])
    else:
        assert ((less == 0) <= (full == 0)).all()
