"""Teachers: the shares that they leave to each source, and the average of a member's weights."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cellab_components.teacher.ema import ExponentialMovingAverage

MIX = {"labelled": 0.0, "pseudo": 0.9, "generated": 0.1}


def member() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def test_contract(name, build):
    teacher = build("teacher", name)
    for progress in (0.0, 0.3, 0.99):
        shares = teacher.shares(MIX, progress)
        assert set(shares) == set(MIX)
        assert all(0 <= share <= 1 for share in shares.values())
        assert sum(shares.values()) == pytest.approx(1)
    assert teacher.shares({"labelled": 1.0, "pseudo": 0.0, "generated": 0.0}, 0.5)["labelled"] == 1
    student, parents = member(), [member(), member()]
    asked = teacher.parents(["a", "b"])
    teacher.start(student, parents[: len(asked)])
    labellers = teacher.labellers()
    assert len(labellers) >= 1
    assert all(labeller is not student for labeller in labellers), "who learns does not label"
    assert isinstance(teacher.kept(), nn.Module)
    assert teacher.lone_generation == (0 if asked else 1), "who needs no parents can teach in a lone generation"
    before = copy.deepcopy([labeller.state_dict() for labeller in labellers])
    learn(student)
    teacher.update(1)
    same = [torch.equal(a, b) for a, b in zip(tensors(before), tensors(x.state_dict() for x in labellers), strict=True)]
    assert all(same) != teacher.pairs_age, "labels go out of date where who labels changes"
    again = build("teacher", name)
    again.start(member(), parents[: len(asked)])
    again.load_state_dict(teacher.state_dict())
    for one, other in zip(again.labellers(), labellers, strict=True):
        assert all(map(torch.equal, tensors([one.state_dict()]), tensors([other.state_dict()])))


def learn(student: nn.Module) -> None:
    student(torch.randn(2, 1, 8, 8))  # moves the statistics of batch norm
    with torch.no_grad():
        student[0].weight.add_(1.0)


def tensors(states) -> list[torch.Tensor]:
    return [value for state in states for value in state.values()]


def test_all_parents_label_and_the_member_is_kept(build):
    teacher, student, parents = build("teacher", "previous_generation"), member(), [member(), member()]
    assert list(teacher.parents(["a", "b"])) == ["a", "b"]
    teacher.start(student, parents)
    assert teacher.labellers() == parents
    assert teacher.kept() is student
    assert teacher.shares(MIX, 0.5) == MIX


def test_the_average_labels_and_is_kept():
    teacher, student = ExponentialMovingAverage(0.9, 0.0, 0.5), member()
    assert list(teacher.parents(["a", "b"])) == []
    teacher.start(student, [])
    (average,) = teacher.labellers()
    assert teacher.kept() is average
    assert not average.training
    assert not any(parameter.requires_grad for parameter in average.parameters())
    learn(student)
    assert not torch.equal(average[0].weight, student[0].weight)
    teacher.update(1)
    assert torch.equal(average[1].running_mean, student[1].running_mean)
    assert torch.equal(average[1].num_batches_tracked, student[1].num_batches_tracked)


@given(
    decay=st.floats(0, 0.999),
    weights=st.lists(st.floats(-5, 5), min_size=1, max_size=30),
)
def test_the_average_follows_its_recurrence(decay, weights):
    teacher = ExponentialMovingAverage(decay, 0.0, 0.5)
    student = nn.Linear(1, 1, bias=False).double()
    teacher.start(student, [])
    (average,) = teacher.labellers()
    expected = student.weight.item()
    for step, weight in enumerate(weights, start=1):
        nn.init.constant_(student.weight, weight)
        teacher.update(step)
        d = min(decay, 1 - 1 / (step + 1))
        expected = d * expected + (1 - d) * weight
    assert average.weight.item() == pytest.approx(expected, abs=1e-9)


def test_the_teachers_part_grows_to_what_labelled_crops_leave_it():
    teacher = ExponentialMovingAverage(0.99, ramp_up=0.4, labelled=0.5)
    found = [teacher.shares(MIX, progress)["pseudo"] for progress in (0.0, 0.1, 0.2, 0.3, 0.4, 1.0)]
    assert found == sorted(found)
    assert found[0] == pytest.approx(0.45 * 0.00674, rel=1e-3)
    assert found[-2] == found[-1] == pytest.approx(0.45)
    assert teacher.shares(MIX, 1.0)["generated"] == pytest.approx(0.05)


def test_a_mix_with_more_labelled_crops_stays_as_it_is():
    teacher = ExponentialMovingAverage(0.99, ramp_up=0.0, labelled=0.5)
    mix = {"labelled": 0.7, "pseudo": 0.3, "generated": 0.0}
    assert teacher.shares(mix, 0.0) == pytest.approx(mix)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"decay": 1.0}, r"decay: 1\.0 .* \[0, 1\)"),
        ({"ramp_up": 2}, r"ramp_up: 2 .* \[0, 1\]"),
        ({"labelled": -0.1}, r"labelled: -0\.1 .* \[0, 1\]"),
    ],
)
def test_bad_arguments(arguments, told):
    with pytest.raises(ValueError, match=told):
        ExponentialMovingAverage(**({"decay": 0.9, "ramp_up": 0.4, "labelled": 0.5} | arguments))
