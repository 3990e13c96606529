"""Entropies: none where the parents are sure; the paper's literal formula."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cellab_components.entropy.binary import BinaryEntropy
from cellab_components.entropy.mean_binary import MeanBinaryEntropy
from cellab_components.entropy.paper import PaperEntropy


def masks(values, height=2):
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, height, len(values) // height)


def test_contract(name, build):
    entropy = build("entropy", name)
    made = entropy(torch.rand(3, 1, 5, 4))
    assert made.shape == (3,)
    assert (made > 0).all()
    hard = (torch.rand(3, 1, 5, 4) > 0.5).float()
    assert entropy(hard).tolist() == [0, 0, 0]
    assert entropy(torch.zeros(1, 1, 5, 4)).tolist() == [0]
    pixels = torch.rand(1, 1, 5, 4)
    shuffled = pixels.flatten()[torch.randperm(20)].view(1, 1, 4, 5)
    torch.testing.assert_close(entropy(pixels), entropy(shuffled))


probabilities = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=40).filter(lambda x: len(x) % 2 == 0)


@settings(max_examples=50, deadline=None)
@given(probabilities)
def test_paper_is_the_literal_sum(values):
    expected = -sum(x * math.log(x) for x in values if x > 0)
    assert PaperEntropy()(masks(values)).item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_paper_has_no_term_of_the_background_and_sums(build):
    entropy = build("entropy", "paper")
    low, high = entropy(torch.full((1, 1, 4, 4), 0.1)), entropy(torch.full((1, 1, 4, 4), 0.9))
    assert low.item() == pytest.approx(-16 * 0.1 * np.log(0.1), rel=1e-5)
    assert high.item() == pytest.approx(-16 * 0.9 * np.log(0.9), rel=1e-5)
    assert entropy(torch.full((1, 1, 8, 8), 0.1)).item() == pytest.approx(4 * low.item(), rel=1e-5)
    assert entropy(torch.full((1, 1, 4, 4), 1 / math.e)).item() == pytest.approx(16 / math.e, rel=1e-5)


@settings(max_examples=50, deadline=None)
@given(probabilities)
def test_binary_is_that_of_coins_and_the_same_for_cell_and_background(values):
    made = BinaryEntropy()(masks(values)).item()
    assert made == pytest.approx(sum(stats.bernoulli(x).entropy() for x in values), rel=1e-4, abs=1e-5)
    assert BinaryEntropy()(1 - masks(values)).item() == pytest.approx(made, rel=1e-4, abs=1e-5)
    assert 0 <= made <= len(values) * math.log(2) + 1e-4


@settings(max_examples=50, deadline=None)
@given(probabilities, st.integers(1, 4))
def test_mean_binary_is_the_mean_and_does_not_grow_with_the_crop(values, times):
    mean = MeanBinaryEntropy()(masks(values)).item()
    assert mean == pytest.approx(BinaryEntropy()(masks(values)).item() / len(values), rel=1e-5, abs=1e-7)
    assert MeanBinaryEntropy()(masks(values * times)).item() == pytest.approx(mean, rel=1e-5, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(probabilities)
def test_sharper_masks_have_less_binary_entropy(values):
    mask = masks(values)
    sharper = torch.where(mask > 0.5, (1 + mask) / 2, mask / 2)
    assert BinaryEntropy()(sharper) <= BinaryEntropy()(mask) + 1e-5


def test_binary_is_largest_where_nothing_is_known(build):
    unknown = torch.full((1, 1, 4, 4), 0.5)
    assert build("entropy", "binary")(unknown).item() == pytest.approx(16 * math.log(2))
    assert build("entropy", "mean_binary")(unknown).item() == pytest.approx(math.log(2))
