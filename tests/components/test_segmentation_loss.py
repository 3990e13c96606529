"""Segmentation losses against independent references; pixels of weight 0; masks without a cell."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit
from sklearn.metrics import fbeta_score, log_loss

from cellab_components.segmentation_loss.bce import Bce
from cellab_components.segmentation_loss.bootstrapped import Bootstrapped
from cellab_components.segmentation_loss.focal import Focal
from cellab_components.segmentation_loss.partial import Partial
from cellab_components.segmentation_loss.pu import NonNegativePu
from cellab_components.segmentation_loss.tversky import Tversky


def batch(dtype=torch.float32, count=3):
    logits = torch.randn(count, 1, 6, 6, dtype=dtype) * 2
    target = (torch.rand(count, 1, 6, 6) > 0.75).to(dtype)  # rarer than pu's prior, which they must be
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
@pytest.mark.parametrize("mask", [0.0, 0.5, 1.0])
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
    for given_weight, w_of in ((None, np.ones_like(w)), (weight, w)):
        bce = np.average(-(t * np.log(p) + (1 - t) * np.log(1 - p)), weights=w_of)
        dice = (2 * np.sum(w_of * p * t) + 3) / (np.sum(w_of * p) + np.sum(w_of * t) + 3)
        made = build("segmentation_loss", "bce_dice", dice_weight=0.7, smoothing=3.0)(logits, target, given_weight)
        assert made.item() == pytest.approx(bce + 0.7 * (1 - dice))


def test_dice_by_hand(build):
    loss = build("segmentation_loss", "bce_dice", smoothing=1.0)
    probability = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    target = torch.tensor([1.0, 0.0, 1.0, 0.0]).view(1, 1, 2, 2)
    assert loss.dice(probability, target, None).item() == pytest.approx(1 - (2 * 1 + 1) / (2 + 2 + 1))


@settings(max_examples=30, deadline=None)
@given(gamma=st.floats(0, 5), alpha=st.floats(0, 1), seed=st.integers(0, 1000))
def test_focal_against_its_formula_of_the_true_class(gamma, alpha, seed):
    torch.manual_seed(seed)
    logits, target, weight = batch(torch.float64)
    z, t, w = flat(logits), flat(target), flat(weight)
    of_truth = np.where(t == 1, expit(z), expit(-z))
    expected = -np.where(t == 1, alpha, 1 - alpha) * (1 - of_truth) ** gamma * np.log(of_truth)
    focal = Focal(gamma, alpha)
    assert focal(logits, target, None).item() == pytest.approx(expected.mean(), abs=1e-12)
    assert focal(logits, target, weight).item() == pytest.approx(np.average(expected, weights=w), abs=1e-12)


def test_focal_without_focus_is_half_of_bce_for_soft_targets_too():
    logits, target, weight = batch(torch.float64)
    for mask in (target, torch.rand_like(target)):
        torch.testing.assert_close(Focal(0, 0.5)(logits, mask, weight), Bce()(logits, mask, weight) / 2)


def test_focal_cares_less_for_pixels_that_are_right(build):
    focal, logits = build("segmentation_loss", "focal"), torch.tensor([2.0, -2.0]).view(2, 1, 1, 1).requires_grad_()
    focal(logits, torch.ones(2, 1, 1, 1), None).backward()
    right, wrong = logits.grad.flatten().abs().tolist()
    assert wrong / right > 20 * math.exp(2)  # exp(2) is what cross-entropy has


@settings(max_examples=30, deadline=None)
@given(beta=st.floats(0.1, 4), seed=st.integers(0, 1000))
def test_tversky_of_hard_masks_is_an_f_score(beta, seed):
    torch.manual_seed(seed)
    logits, target, weight = batch(torch.float64)
    hard = 200 * logits.sign()
    # F_beta weighs misses beta^2 as heavily as inventions, and both by 1 together.
    loss = Tversky(alpha=1 / (1 + beta**2), beta=beta**2 / (1 + beta**2), smoothing=1e-12)
    for given_weight, w in ((None, None), (weight, flat(weight))):
        expected = fbeta_score(flat(target), flat(logits) > 0, beta=beta, sample_weight=w)
        assert 1 - loss(hard, target, given_weight).item() == pytest.approx(expected, abs=1e-9)


def test_tversky_with_equal_weights_is_the_dice_loss(build):
    logits, target, weight = batch(torch.float64)
    dice = build("segmentation_loss", "bce_dice", smoothing=3.0).dice(torch.sigmoid(logits), target, weight)
    torch.testing.assert_close(Tversky(0.5, 0.5, smoothing=1.5)(logits, target, weight), dice)


def test_tversky_against_numpy(build):
    logits, target, weight = batch(torch.float64)
    p, t, w = expit(flat(logits)), flat(torch.rand_like(target)), flat(weight)
    hit, invented, missed = np.sum(w * p * t), np.sum(w * p * (1 - t)), np.sum(w * (1 - p) * t)
    expected = 1 - (hit + 1) / (hit + 0.3 * invented + 0.7 * missed + 1)
    soft = torch.from_numpy(t).view_as(target)
    assert build("segmentation_loss", "tversky")(logits, soft, weight).item() == pytest.approx(expected)


SURROGATES = {"logistic": lambda z: -log_expit(z), "sigmoid": lambda z: expit(-z)}


def mixture(rng, prior, marked_share, count=4000):
    """Logits and classes of pixels of which `prior` are cells, and which of those are marked."""
    cell = rng.random(count) < prior
    marked = cell & (rng.random(count) < marked_share)
    return rng.normal(np.where(cell, 0.8, -0.5), 1.5), cell, marked


def as_images(values):
    return torch.from_numpy(np.asarray(values, dtype=np.float64)).view(-1, 1, 20, 20)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("marked_share", [0.1, 0.5, 1.0])
def test_pu_is_unbiased_on_a_mixture(surrogate, marked_share):
    prior, loss, rng = 0.35, SURROGATES[surrogate], np.random.default_rng(0)
    pu = NonNegativePu(prior, surrogate, 2)
    errors = []
    for _ in range(400):
        logits, cell, marked = mixture(rng, prior, marked_share)
        truth = loss(np.where(cell, logits, -logits)).mean()  # the risk that only complete masks could tell
        errors.append(pu(as_images(logits), as_images(marked), None).item() - truth)
    spread = np.std(errors) / np.sqrt(len(errors))
    assert abs(np.mean(errors)) < 3 * spread
    assert spread < 0.005


def test_bce_on_the_same_mixture_is_biased():
    rng = np.random.default_rng(0)
    logits, cell, marked = mixture(rng, 0.35, 0.5, count=40_000)
    complete, seen = (Bce()(as_images(logits), as_images(mask), None).item() for mask in (cell, marked))
    assert abs(seen - complete) > 0.05


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000))
def test_pu_with_every_cell_marked_and_the_true_prior_is_bce(seed):
    torch.manual_seed(seed)
    logits, target, weight = batch(torch.float64)
    share = ((weight * target).sum() / weight.sum()).item()
    torch.testing.assert_close(
        NonNegativePu(share, "logistic", 2)(logits, target, weight), Bce()(logits, target, weight)
    )


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_pu_risk_of_a_network_that_knows_the_marks_by_heart_is_not_negative(surrogate):
    rng, loss = np.random.default_rng(0), SURROGATES[surrogate]
    _, _, marked = mixture(rng, prior=0.5, marked_share=0.3)
    by_heart = np.where(marked, 4.0, -4.0)
    unbiased = 0.5 * loss(by_heart[marked]).mean() + loss(-by_heart).mean() - 0.5 * loss(-by_heart[marked]).mean()
    assert unbiased < 0
    logits = as_images(by_heart).requires_grad_()
    risk = NonNegativePu(0.5, surrogate, 2)(logits, as_images(marked), None)
    assert risk.item() == pytest.approx(0.5 * loss(4.0))
    risk.backward()  # what is not marked is left alone: it may be a cell
    assert not logits.grad[as_images(marked) == 0].any()


def test_pu_finds_hidden_cells_that_bce_gives_up():
    rng = np.random.default_rng(0)
    cell = rng.random(20_000) < 0.4
    feature = torch.from_numpy(rng.normal(np.where(cell, 1.5, -1.5), 1.0)).view(-1, 1, 20, 20)
    marks = as_images(cell & (rng.random(20_000) < 0.3))

    def recall(loss):
        slope, offset = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(2))
        optimiser = torch.optim.LBFGS([slope, offset], max_iter=60)

        def step():
            optimiser.zero_grad()
            value = loss(slope * feature + offset, marks, None)
            value.backward()
            return value

        optimiser.step(step)
        return ((slope * feature + offset).detach() > 0).numpy().ravel()[cell].mean()

    assert recall(Bce()) < 0.3
    assert recall(NonNegativePu(0.4, "logistic", 2)) > 0.85


def marks_of(rng, posterior, marked_share):
    """Logits of P(marked | x), as cross-entropy learns them, and marks: of pixels that are cells with a probability."""
    marked = rng.random(posterior.shape) < marked_share * posterior
    return as_images(np.log(marked_share * posterior) - np.log1p(-marked_share * posterior)), as_images(marked)


@pytest.mark.parametrize("marked_share", [0.15, 0.5, 0.9])
def test_an_auto_prior_is_the_share_of_cells_where_marked_pixels_are_surely_cells(marked_share):
    rng, pu = np.random.default_rng(0), NonNegativePu("auto", "logistic", 20)
    for _ in range(20):
        assert pu.prior is None
        pu(*marks_of(rng, np.where(rng.random(20_000) < 0.35, 1.0, 1e-6), marked_share), None)
    assert pu.prior == pytest.approx(0.35, abs=0.01)


def test_an_auto_prior_is_too_large_by_what_marked_pixels_leave_unsure():
    rng, pu = np.random.default_rng(0), NonNegativePu("auto", "logistic", 20)
    for _ in range(20):
        pu(*marks_of(rng, rng.choice([0.02, 0.5, 1.0], 20_000, p=[0.6, 0.2, 0.2]), 0.4), None)
    prior = 0.6 * 0.02 + 0.2 * 0.5 + 0.2
    of_marked = (0.6 * 0.02**2 + 0.2 * 0.5**2 + 0.2) / prior  # E[P(cell | x) | marked]
    assert pu.prior == pytest.approx(prior / of_marked, abs=0.01)


@pytest.mark.parametrize(("logit", "prior"), [(30.0, 0.25), (-30.0, 0.99)])
def test_an_auto_prior_is_no_less_than_the_share_of_marks_and_leaves_some_background(logit, prior):
    pu, marked = NonNegativePu("auto", "logistic", 2), torch.tensor([1.0, 0, 0, 0]).view(1, 1, 2, 2)
    for _ in range(2):
        pu(logit * torch.ones(1, 1, 2, 2), marked, None)
    assert pu.prior == pytest.approx(prior)


def test_an_auto_prior_is_that_of_the_second_half_of_the_warm_up_and_of_pixels_that_count():
    pu = NonNegativePu("auto", "sigmoid", 4)
    marked, weight = torch.tensor([[[[1.0, 0.0, 0.0, 1.0]]]]), torch.tensor([[[[1.0, 1.0, 2.0, 0.0]]]])
    for probability in (0.9, 0.9, 0.5, 0.7, 0.1, 0.1):
        logits = torch.full((1, 1, 1, 4), math.log(probability / (1 - probability)))
        value = pu(logits, marked, weight)
        if pu.prior is None:
            assert value == Bce()(logits, marked, weight)
    assert pu.prior == pytest.approx(0.25 / 0.6)
    assert value == NonNegativePu(pu.prior, "sigmoid", 2)(logits, marked, weight)


def test_without_a_mark_all_is_background_to_an_auto_prior():
    pu, logits, empty = NonNegativePu("auto", "logistic", 2), torch.randn(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    values = [pu(logits, empty, None) for _ in range(3)]
    assert pu.prior == 0
    torch.testing.assert_close(values[2], Bce()(logits, empty))


def test_an_auto_prior_goes_on_from_its_state():
    rng, one = np.random.default_rng(0), NonNegativePu("auto", "logistic", 6)
    batches = [marks_of(rng, rng.choice([0.1, 0.9], 400), 0.4) for _ in range(6)]
    for logits, marked in batches[:4]:
        one(logits, marked, None)
    two = NonNegativePu("auto", "logistic", 6)
    two.load_state_dict(dict(one.state_dict()))
    for logits, marked in batches[4:]:
        one(logits, marked, None)
        two(logits, marked, None)
    assert one.prior == two.prior
    assert 0 < one.prior < 1


def test_pu_with_an_auto_prior_finds_hidden_cells_as_with_the_true_one():
    """Trained from nothing, on pixels of which three in ten cells are marked."""
    rng, pu = np.random.default_rng(0), NonNegativePu("auto", "logistic", 150)
    slope, offset = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(2))
    height = torch.zeros((), dtype=torch.float64, requires_grad=True)  # P(marked | x) levels off, at 0.3
    optimiser = torch.optim.Adam([slope, offset, height], lr=0.1)
    for _ in range(300):
        cell = rng.random(4000) < 0.4
        feature = as_images(rng.normal(np.where(cell, 2.5, -2.5), 1.0))
        logits = height - torch.nn.functional.softplus(-slope * feature - offset)
        loss = pu(logits, as_images(cell & (rng.random(4000) < 0.3)), None)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert pu.prior == pytest.approx(0.4, abs=0.04)
    assert (logits.detach() > 0).numpy().ravel()[cell].mean() > 0.9


@pytest.mark.parametrize("beta", [0.1, 0.8, 1.0])
def test_bootstrapped_against_scikit_learn(build, beta):
    logits, target, weight = batch(torch.float64)
    p, t = expit(flat(logits)), flat(target)
    for name, said in (("bootstrapped", p), ("bootstrapped_hard", p > 0.5)):
        mixed = beta * t + (1 - beta) * said
        # Each pixel is there twice: as a cell by as much as the mixture says, and as background by the rest.
        weights = np.r_[mixed * flat(weight), (1 - mixed) * flat(weight)]
        expected = log_loss(np.repeat([1, 0], p.size), np.r_[p, p], sample_weight=weights)
        made = build("segmentation_loss", name, beta=beta)(logits, target, weight)
        assert made.item() == pytest.approx(expected)


def test_bootstrapping_by_the_target_alone_is_bce():
    logits, target, weight = batch()
    for hard in (False, True):
        assert Bootstrapped(1.0, hard=hard)(logits, target, weight) == Bce()(logits, target, weight)


def test_soft_bootstrapping_is_more_than_bce_scaled():
    logits, target, _ = batch(torch.float64)
    logits.requires_grad_()
    (bce,) = torch.autograd.grad(Bce()(logits, target, None), logits)
    (made,) = torch.autograd.grad(Bootstrapped(0.8, hard=False)(logits, target, None), logits)
    z = logits.detach()
    entropy = -z * torch.sigmoid(z) * torch.sigmoid(-z) / z.numel()  # d/dz of the prediction's own entropy
    torch.testing.assert_close(made, 0.8 * bce + 0.2 * entropy)


def test_partial_counts_known_pixels_only(build):
    logits, target, weight = batch(torch.float64)
    soft = torch.rand_like(target)
    known = (soft < 0.25) | (soft > 0.75)
    assert 0 < known.sum() < known.numel()
    partial = build("segmentation_loss", "partial")
    torch.testing.assert_close(partial(logits, soft, None), Bce()(logits[known], soft[known], None))
    torch.testing.assert_close(partial(logits, soft, weight), Bce()(logits[known], soft[known], weight[known]))
    torch.testing.assert_close(partial(logits, target, weight), Bce()(logits, target, weight))


def test_partial_of_nothing_known_is_no_loss_that_one_can_still_step_on():
    logits = torch.randn(1, 1, 4, 4, requires_grad=True)
    value = Partial(0.0)(logits, torch.full((1, 1, 4, 4), 0.5), None)
    value.backward()
    assert value == 0
    assert not logits.grad.any()
