"""Recombination: targets and weights made of given masks and pseudo-labels."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cellab_components.recombination.add_objects import AddObjects
from cellab_components.recombination.disagreement_is_ignored import DisagreementIsIgnored
from cellab_components.recombination.keep_labelled_positives import KeepLabelledPositives
from cellab_components.recombination.replace_where_sure import ReplaceWhereSure
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


def picture(*rows: str) -> torch.Tensor:
    """A mask (1, 1, H, W): # is 1, a digit so many tenths."""
    values = {"#": 1.0, ".": 0.0} | {str(tenths): tenths / 10 for tenths in range(10)}
    return torch.tensor([[[[values[one] for one in row] for row in rows]]])


def test_objects_that_overlap_no_given_one_are_added_as_a_whole():
    given_mask = picture("##....", "##....", "......", ".....#")
    pseudo = picture("###..9", "###.6.", "....54", "##....")
    target, weight = AddObjects()(given_mask, pseudo)
    # the first grew beyond a given object; the second hangs together by its corners, where it is above 0.5
    assert torch.equal(target, picture("##...9", "##..6.", "......", "##...#"))
    assert weight.all()


def test_an_object_that_overlaps_a_given_one_in_a_single_pixel_is_not_added():
    target, _ = AddObjects()(picture("#....", "....."), picture("#####", "....."))
    assert torch.equal(target, picture("#....", "....."))
    beside, _ = AddObjects()(picture("#....", "....."), picture(".####", "....."))
    assert torch.equal(beside, picture("#####", ".....")), "to lie beside one is no overlap"


def test_objects_of_one_image_know_nothing_of_another():
    given_mask = torch.cat([picture("#.", ".."), picture("..", "..")])
    target, _ = AddObjects()(given_mask, picture("#.", "..").repeat(2, 1, 1, 1))
    assert torch.equal(target, picture("#.", "..").repeat(2, 1, 1, 1)), "stacked, the two would be one object"
    pseudo = torch.cat([picture("##", ".."), picture("##", "..")])
    target, _ = AddObjects()(given_mask, pseudo)
    assert torch.equal(target, torch.cat([picture("#.", ".."), picture("##", "..")]))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_added_objects_lie_between_the_given_mask_and_the_union(seed):
    generator = torch.Generator().manual_seed(seed)
    given_mask = (torch.rand(2, 1, 8, 8, generator=generator) > 0.8).float()
    pseudo = (torch.rand(2, 1, 8, 8, generator=generator) > 0.7).float()
    target, _ = AddObjects()(given_mask, pseudo)
    assert (target >= given_mask).all()
    assert (target <= Union()(given_mask, pseudo)[0]).all()
    assert torch.equal(AddObjects()(target, pseudo)[0], target)


def test_only_sure_pixels_are_replaced():
    target, weight = ReplaceWhereSure(0.75)(picture("####", "...."), picture("0269", "0269"))
    assert torch.equal(target, picture("..##", "...#"))
    assert weight.all()


def test_hard_pseudo_labels_are_sure_everywhere(build):
    pseudo = (torch.rand(2, 1, 4, 4) > 0.5).float()
    target, _ = build("recombination", "replace_where_sure")(1 - pseudo, pseudo)
    assert torch.equal(target, pseudo)


@pytest.mark.parametrize("confidence", [0.4, 1.0, float("nan")])
def test_a_confidence_that_none_or_both_could_have(confidence):
    with pytest.raises(ValueError, match=r"confidence: .* \[0\.5, 1\)"):
        ReplaceWhereSure(confidence)
