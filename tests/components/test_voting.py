"""Voting: probabilities between the parents', whatever their order; hard pseudo-labels."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cellab_components.voting import MeanVote

IMAGES = torch.rand(2, 1, 4, 4)


def constant(logit):
    return lambda images: torch.full_like(images, logit)


def test_contract(name, build):
    vote = build("voting", name)
    torch.manual_seed(0)
    made = [torch.randn(2, 1, 4, 4) for _ in range(3)]
    members = [lambda _, logits=logits: logits for logits in made]
    votes = vote.votes(members, IMAGES)
    assert votes.shape == (3, 2, 1, 4, 4)
    assert votes.dtype == torch.float32
    assert votes.min() >= 0
    assert votes.max() <= 1
    torch.testing.assert_close(vote.votes(members[::-1], IMAGES), votes.flip(0))
    probability = votes.mean(dim=0)
    target = vote.target(probability)
    assert target.shape == probability.shape
    assert target.dtype == torch.float32
    assert target.min() >= 0
    assert target.max() <= 1
    with pytest.raises(ValueError, match="at least one parent"):
        vote.votes([], IMAGES)


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=5))
def test_mean_is_of_probabilities_not_of_logits(logits):
    probability = MeanVote(threshold=0.5).votes([constant(logit) for logit in logits], IMAGES).mean(dim=0)
    expected = sum(1 / (1 + math.exp(-logit)) for logit in logits) / len(logits)
    assert probability.flatten().tolist() == pytest.approx([expected] * 32, abs=1e-6)


def test_mean_target_is_hard_and_strictly_above_the_threshold(build):
    probability = torch.tensor([0.0, 0.4999, 0.5, 0.5001, 1.0]).view(1, 1, 1, 5)
    assert build("voting", "mean").target(probability).flatten().tolist() == [0, 0, 0, 1, 1]
    assert build("voting", "mean", threshold=0.0).target(probability).flatten().tolist() == [0, 1, 1, 1, 1]
