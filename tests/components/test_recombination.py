"""Recombination: targets and weights made of given masks and pseudo-labels."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from cellab_components.recombination import Union

values = st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4)


def masks(pixels):
    return torch.tensor(pixels, dtype=torch.float32).view(1, 1, 2, 2)


def test_contract(name, build):
    recombine = build("recombination", name)
    given_mask = (torch.rand(3, 1, 4, 4) > 0.5).float()
    for pseudo in ((torch.rand(3, 1, 4, 4) > 0.5).float(), torch.rand(3, 1, 4, 4)):
        copies = given_mask.clone(), pseudo.clone()
        target, weight = recombine(given_mask, pseudo)
        assert target.shape == weight.shape == pseudo.shape
        assert target.dtype == weight.dtype == torch.float32
        assert target.min() >= 0
        assert target.max() <= 1
        assert weight.min() >= 0
        assert torch.equal(given_mask, copies[0])
        assert torch.equal(pseudo, copies[1])
    hard = given_mask.clone()
    target, weight = recombine(given_mask, hard)  # where both agree, so does the target
    assert torch.equal(target, given_mask)
    assert weight.all()


def test_replace_forgets_the_given_mask(build):
    pseudo = torch.rand(2, 1, 3, 3)
    target, weight = build("recombination", "replace")(torch.ones(2, 1, 3, 3), pseudo)
    assert torch.equal(target, pseudo)
    assert weight.all()


@given(a=values, b=values)
def test_union_keeps_what_either_says(a, b):
    union = Union()
    target, weight = union(masks(a), masks(b))
    assert target.flatten().tolist() == [max(x, y) for x, y in zip(a, b, strict=True)]
    assert torch.equal(target, union(masks(b), masks(a))[0])
    assert torch.equal(union(masks(a), target)[0], target)
    assert weight.tolist() == torch.ones(1, 1, 2, 2).tolist()


def test_union_of_hard_masks_by_hand(build):
    target, _ = build("recombination", "union")(masks([0, 0, 1, 1]), masks([0, 1, 0, 1]))
    assert target.flatten().tolist() == [0, 1, 1, 1]
