"""Teachers: the shares that they leave to each source, the average of a member's weights, the end of early learning."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cellab_components.teacher.early_learning import EarlyLearning, slope_change
from cellab_components.teacher.early_learning_correction import EarlyLearningCorrection
from cellab_components.teacher.ema import ExponentialMovingAverage

MIX = {"labelled": 0.0, "pseudo": 0.9, "generated": 0.1}
PIXELS = torch.zeros(1, 1, 2, 2)  # what a step was taken on, where nobody asks


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
    teacher.update(1, PIXELS, PIXELS)
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
    teacher.update(1, PIXELS, PIXELS)
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
        teacher.update(step, PIXELS, PIXELS)
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


def fits(share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and a mask whose IoU is a share, but for a ten thousandth."""
    mask, logits = torch.ones(1, 1, 100, 100), torch.full((1, 1, 100, 100), -1.0)
    logits.flatten()[: round(10000 * share)] = 1
    return logits, mask


def rise(steps: int, speed: float = 0.1) -> list[float]:
    return [0.8 * (1 - math.exp(-speed * step)) for step in range(1, steps + 1)]


@pytest.mark.parametrize(("a", "rate", "power"), [(0.8, 0.2, 1.0), (0.6, 0.5, 0.7), (0.9, 0.1, 0.8)])
def test_the_change_of_slope_of_a_curve_that_is_of_the_fitted_kind(a, rate, power):
    times = np.arange(1, 25)

    def slope(t):
        return a * rate * power * t ** (power - 1) * np.exp(-rate * t**power)

    found = slope_change((a * (1 - np.exp(-rate * times**power))).tolist())
    assert found == pytest.approx(abs(slope(1) - slope(24)) / slope(1), abs=1e-4)


@pytest.mark.parametrize("silent", [0, 7])
def test_early_learning_is_over_once_the_curve_flattens(silent):
    """exp(-0.2 (t - 1)) falls below 0.1 after t = 12; a network that finds nothing yet only comes later."""
    learning, over = EarlyLearning(1, 0.9), []
    for step, iou in enumerate([0.05] * silent + rise(30, 0.2), start=1):
        learning.watch(step, *fits(iou))
        over.append(learning.over)
    assert over == sorted(over), "for good"
    assert over.index(True) + 1 == silent + 13


def test_a_straight_rise_and_a_network_that_finds_nothing_are_early_learning():
    for ious in (np.linspace(0.1, 0.6, 40), np.zeros(40), np.full(40, 0.09)):
        learning = EarlyLearning(1, 0.9)
        for step, iou in enumerate(ious.tolist(), start=1):
            learning.watch(step, *fits(iou))
        assert not learning.over


def test_a_point_of_the_curve_is_the_overlap_of_all_pixels_of_an_interval():
    learning = EarlyLearning(2, 0.9)
    learning.watch(1, torch.tensor([[[[5.0, -1.0]]]]), torch.tensor([[[[1.0, 1.0]]]]))
    assert learning.state_dict()["ious"] == []
    learning.watch(2, torch.tensor([[[[1.0, 1.0, -1.0]]]]), torch.tensor([[[[0.0, 1.0, 0.0]]]]))
    assert learning.state_dict()["ious"] == [2 / 4]


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_a_member_corrects_only_once_early_learning_is_over(decay):
    teacher, student = EarlyLearningCorrection(decay, interval=1, threshold=0.9), member()
    teacher.start(student, [])
    (labeller,) = teacher.labellers()
    for step, iou in enumerate(rise(60), start=1):
        shares = teacher.shares(MIX, step / 60)
        if step < 20:
            assert shares == {"labelled": 1.0, "pseudo": 0.0, "generated": 0.0}
        learn(student)
        teacher.update(step, *fits(iou))
    assert shares == MIX
    assert torch.equal(labeller[0].weight, student[0].weight) == (decay == 0), "without an average it is the member"
    assert torch.equal(labeller[1].running_mean, student[1].running_mean)
    assert not labeller.training
    assert student.training
    assert teacher.kept() is labeller


def test_a_correction_goes_on_from_its_state_in_the_midst_of_an_interval():
    def end(interrupted_at: int) -> int:
        teacher = EarlyLearningCorrection(0.0, interval=2, threshold=0.9)
        teacher.start(member(), [])
        for step, iou in enumerate(rise(80, 0.05), start=1):
            teacher.update(step, *fits(iou))
            if teacher.shares(MIX, 0.0) == MIX:
                return step
            if step == interrupted_at:
                state, teacher = teacher.state_dict(), EarlyLearningCorrection(0.0, interval=2, threshold=0.9)
                teacher.start(member(), [])
                teacher.load_state_dict(copy.deepcopy(state))
        return 0

    assert end(interrupted_at=11) == end(interrupted_at=0) > 11


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"decay": 1.0}, r"decay: 1\.0 .* \[0, 1\)"),
        ({"interval": 0}, r"interval: 0 .* at least 1"),
        ({"threshold": 1.0}, r"threshold: 1\.0 .* \[0, 1\)"),
    ],
)
def test_bad_arguments_of_a_correction(arguments, told):
    with pytest.raises(ValueError, match=told):
        EarlyLearningCorrection(**({"decay": 0.9, "interval": 10, "threshold": 0.9} | arguments))
