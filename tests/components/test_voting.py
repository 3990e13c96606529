"""Voting: probabilities between the parents', whatever their order; hard pseudo-labels."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cellab_components.voting.majority import MajorityVote
from cellab_components.voting.mean import MeanVote
from cellab_components.voting.soft import SoftVote
from cellab_components.voting.tta_mean import TtaMeanVote

IMAGES = torch.rand(2, 1, 4, 4)
logit_lists = st.lists(st.floats(-20, 20), min_size=1, max_size=7)


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
    alone = vote.votes(members[1:2], IMAGES)  # a vote is a parent's own
    torch.testing.assert_close(alone, votes[1:2])
    target = vote.target(votes)
    assert target.shape == (2, 1, 4, 4)
    assert target.dtype == torch.float32
    assert target.min() >= 0
    assert target.max() <= 1
    with pytest.raises(ValueError, match="at least one parent"):
        vote.votes([], IMAGES)


@settings(max_examples=30, deadline=None)
@given(logit_lists)
def test_mean_is_of_probabilities_not_of_logits(logits):
    probability = MeanVote(threshold=0.5).votes([constant(logit) for logit in logits], IMAGES).mean(dim=0)
    expected = sum(1 / (1 + math.exp(-logit)) for logit in logits) / len(logits)
    assert probability.flatten().tolist() == pytest.approx([expected] * 32, abs=1e-6)


def test_mean_target_is_hard_and_strictly_above_the_threshold(build):
    votes = torch.tensor([0.0, 0.4999, 0.5, 0.5001, 1.0]).view(1, 1, 1, 1, 5)
    assert build("voting", "mean").target(votes).flatten().tolist() == [0, 0, 0, 1, 1]
    assert build("voting", "mean", threshold=0.0).target(votes).flatten().tolist() == [0, 1, 1, 1, 1]


def test_unanimous_parents_are_followed(name, build):
    vote = build("voting", name)
    for logit, target in ((-9.0, 0), (9.0, 1)):
        votes = vote.votes([constant(logit)] * 3, IMAGES)
        assert vote.target(votes).round().flatten().tolist() == [target] * 32


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-20, 20).filter(lambda logit: abs(logit) > 1e-3), min_size=1, max_size=7))
def test_majority_counts_hard_votes_and_a_tie_is_background(logits):
    vote = MajorityVote(threshold=0.5)
    votes = vote.votes([constant(logit) for logit in logits], IMAGES)
    expected = [float(logit > 0) for logit in logits]
    decided = vote.target(votes)
    assert decided.flatten().tolist() == [float(2 * sum(expected) > len(logits))] * 32


def test_majority_outvotes_a_loud_minority_that_the_mean_follows(build):
    members = [constant(-0.4), constant(-0.4), constant(9.0)]
    for name, expected in (("majority", 0.0), ("mean", 1.0)):
        vote = build("voting", name)
        assert vote.target(vote.votes(members, IMAGES)).unique().tolist() == [expected]


@settings(max_examples=10, deadline=None)
@given(logit_lists)
def test_soft_target_is_the_probability_itself(logits):
    members, vote = [constant(logit) for logit in logits], SoftVote()
    votes = vote.votes(members, IMAGES)
    assert torch.equal(votes, MeanVote(0.5).votes(members, IMAGES))
    assert torch.equal(vote.target(votes), votes.mean(dim=0))


@pytest.mark.parametrize("logit", [0.02, -0.02])
def test_a_gate_sees_how_unsure_parents_are_that_agree(name, build, logit):
    votes = build("voting", name).votes([constant(logit)] * 3, IMAGES)
    assert build("entropy", "binary")(votes.mean(dim=0)).min() > 0.99 * 16 * math.log(2)


def lopsided(images):
    """A member that sees things at the upper right: every flip and turn matters to it."""
    return 3 * images + images.roll(1, 2) - images.roll(1, 3) + torch.linspace(-2, 2, images.shape[3])


def symmetries(images):
    for turns in range(4):
        yield torch.rot90(images, turns, (-2, -1))
        yield torch.rot90(images.flip(-1), turns, (-2, -1))


def test_tta_mean_against_eight_single_views():
    expected = torch.zeros(2, 1, 5, 5)
    images = torch.rand(2, 1, 5, 5)
    for turns in range(4):
        expected += torch.rot90(torch.sigmoid(lopsided(torch.rot90(images, turns, (2, 3)))), -turns, (2, 3))
        view = torch.rot90(images, turns, (2, 3)).transpose(2, 3)
        expected += torch.rot90(torch.sigmoid(lopsided(view)).transpose(2, 3), -turns, (2, 3))
    votes = TtaMeanVote(0.5).votes([lopsided, constant(1.0)], images)
    torch.testing.assert_close(votes[0], expected / 8)
    torch.testing.assert_close(votes[1], torch.sigmoid(torch.ones(2, 1, 5, 5)))


def test_tta_mean_turns_and_flips_with_the_image():
    vote, images = TtaMeanVote(0.5), torch.rand(2, 1, 5, 5)
    votes = vote.votes([lopsided], images)
    assert not torch.allclose(MeanVote(0.5).votes([lopsided], images.flip(3)), votes.flip(4))
    for view, expected in zip(symmetries(images), symmetries(votes), strict=True):
        torch.testing.assert_close(vote.votes([lopsided], view), expected)


def test_tta_mean_asks_each_parent_for_eight_different_views():
    seen = []
    TtaMeanVote(0.5).votes([lambda images: seen.append(images) or images], torch.rand(1, 1, 3, 3))
    assert len(seen) == len({tuple(view.flatten().tolist()) for view in seen}) == 8


def test_tta_mean_needs_squares():
    with pytest.raises(ValueError, match=r"images: 4 x 6 .* squares"):
        TtaMeanVote(0.5).votes([constant(0.0)], torch.rand(1, 1, 4, 6))
