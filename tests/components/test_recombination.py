"""Recombination: targets and weights made of given masks and pseudo-labels."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cellab_components.recombination.disagreement_is_ignored import DisagreementIsIgnored
from cellab_components.recombination.keep_labelled_positives import KeepLabelledPositives
from cellab_components.recombination.union import Union

values = st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4)
hard = st.lists(st.sampled_from([0.0, 1.0]), min_size=4, max_size=4)


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
    target, weight = recombine(given_mask, given_mask.clone())  # where both agree, so does the target
    assert torch.equal(target, given_mask)
    assert weight.all()


def test_replace_forgets_the_given_mask(build):
    pseudo = torch.rand(2, 1, 3, 3)
    target, weight = build("recombination", "replace")(torch.ones(2, 1, 3, 3), pseudo)
    assert torch.equal(target, pseudo)
    assert weight.all()


@settings(max_examples=30, deadline=None)
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


@settings(max_examples=30, deadline=None)
@given(a=hard, b=values)
def test_keeping_labelled_positives_of_a_hard_mask_is_the_union(a, b):
    kept, united = KeepLabelledPositives()(masks(a), masks(b)), Union()(masks(a), masks(b))
    assert torch.equal(kept[0], united[0])
    assert torch.equal(kept[1], united[1])


@settings(max_examples=30, deadline=None)
@given(a=values, b=values)
def test_labelled_positives_are_kept_as_they_are_and_nothing_else(a, b):
    target, weight = KeepLabelledPositives()(masks(a), masks(b))
    assert target.flatten().tolist() == [x if x > 0.5 else y for x, y in zip(a, b, strict=True)]
    assert weight.all()


def test_keeping_labelled_positives_of_a_soft_mask_is_not_the_union():
    soft, pseudo = masks([0.75, 0.25, 0.75, 0.0]), masks([1.0, 0.0, 0.0, 0.5])
    assert KeepLabelledPositives()(soft, pseudo)[0].flatten().tolist() == [0.75, 0.0, 0.75, 0.5]
    assert Union()(soft, pseudo)[0].flatten().tolist() == [1.0, 0.25, 0.75, 0.5]


@settings(max_examples=30, deadline=None)
@given(a=values, b=values)
def test_disagreement_is_ignored_and_nothing_else(a, b):
    target, weight = DisagreementIsIgnored()(masks(a), masks(b))
    assert torch.equal(target, masks(b))
    assert weight.flatten().tolist() == [float((x > 0.5) == (y > 0.5)) for x, y in zip(a, b, strict=True)]


def test_disagreement_by_hand(build):
    target, weight = build("recombination", "disagreement_is_ignored")(masks([0, 0, 1, 1]), masks([0, 0.75, 0.25, 1]))
    assert weight.flatten().tolist() == [1, 0, 0, 1]
    assert target.flatten().tolist() == [0, 0.75, 0.25, 1]
