"""Segmentation losses against independent references; pixels of weight 0; masks without a cell."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss


def batch(dtype=torch.float32, count=3):
    logits = torch.randn(count, 1, 6, 6, dtype=dtype) * 2
    target = (torch.rand(count, 1, 6, 6) > 0.6).to(dtype)
    weight = torch.rand(count, 1, 6, 6, dtype=dtype) * (torch.rand(count, 1, 6, 6) > 0.3)
    return logits, target, weight


def test_contract(name, build):
    loss = build("segmentation_loss", name)
    logits, target, _ = batch()
    logits.requires_grad_()
    value = loss(logits, target, None)
    assert value.shape == ()
    assert value > 0
    value.backward()
    assert logits.grad.any()
    torch.testing.assert_close(value, loss(logits, target, torch.ones_like(target)))
    sure = 20 * (2 * target - 1)
    assert loss(sure, target, None) < value < loss(-sure, target, None)
    soft = torch.rand_like(target)
    assert torch.isfinite(loss(logits, soft, None))


def test_pixels_of_weight_zero_carry_no_loss(name, build):
    loss = build("segmentation_loss", name)
    logits, target, weight = batch()
    unknown = weight == 0
    assert unknown.any()
    other_logits = torch.where(unknown, torch.randn_like(logits), logits)
    other_target = torch.where(unknown, 1 - target, target)
    assert loss(logits, target, weight) == loss(other_logits, other_target, weight)
    logits.requires_grad_()
    loss(logits, target, weight).backward()
    assert not logits.grad[unknown].any()
    assert logits.grad[~unknown].all()


@pytest.mark.parametrize("logit", [-100.0, 0.0, 100.0])
@pytest.mark.parametrize("mask", [0.0, 1.0])
def test_finite_on_empty_and_full_masks(name, build, logit, mask):
    loss = build("segmentation_loss", name)
    logits = torch.full((2, 1, 4, 4), logit, requires_grad=True)
    value = loss(logits, torch.full((2, 1, 4, 4), mask), None)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


def test_no_pixel_that_counts_is_no_loss(name, build):
    logits = torch.randn(2, 1, 4, 4, requires_grad=True)
    value = build("segmentation_loss", name)(logits, torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))
    value.backward()
    assert value == 0
    assert not logits.grad.any()


def flat(tensor):
    return tensor.double().numpy().ravel()


def test_bce_against_scikit_learn(build):
    logits, target, weight = batch(torch.float64)
    probability = flat(torch.sigmoid(logits))
    loss = build("segmentation_loss", "bce")
    assert loss(logits, target, None).item() == pytest.approx(log_loss(flat(target), probability))
    expected = log_loss(flat(target), probability, sample_weight=flat(weight))
    assert loss(logits, target, weight).item() == pytest.approx(expected)


def test_bce_dice_against_numpy(build):
    logits, target, weight = batch(torch.float64)
    p, t, w = 1 / (1 + np.exp(-flat(logits))), flat(target), flat(weight)
    for given, w_of in ((None, np.ones_like(w)), (weight, w)):
        bce = np.average(-(t * np.log(p) + (1 - t) * np.log(1 - p)), weights=w_of)
        dice = (2 * np.sum(w_of * p * t) + 3) / (np.sum(w_of * p) + np.sum(w_of * t) + 3)
        made = build("segmentation_loss", "bce_dice", dice_weight=0.7, smoothing=3.0)(logits, target, given)
        assert made.item() == pytest.approx(bce + 0.7 * (1 - dice))


def test_dice_by_hand(build):
    loss = build("segmentation_loss", "bce_dice", smoothing=1.0)
    probability = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    target = torch.tensor([1.0, 0.0, 1.0, 0.0]).view(1, 1, 2, 2)
    assert loss.dice(probability, target, None).item() == pytest.approx(1 - (2 * 1 + 1) / (2 + 2 + 1))
