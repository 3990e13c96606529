"""Entropies: none where the parents are sure; the paper's literal formula."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cellab_components.entropy import PaperEntropy


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


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=40).filter(lambda values: len(values) % 2 == 0))
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
