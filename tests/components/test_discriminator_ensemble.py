"""Ensembles of discriminators: how the generator's losses become one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cellab_components.discriminator_ensemble.max import MaxEnsemble
from cellab_components.discriminator_ensemble.mean import MeanEnsemble
from cellab_components.discriminator_ensemble.softmax import SoftmaxEnsemble


def made(ensemble, values):
    """The ensemble's loss of the values, and its gradient."""
    losses = torch.tensor(values, requires_grad=True)
    total = ensemble(losses)
    total.backward()
    return total.detach(), losses.grad


def test_contract(name, build):
    ensemble = build("discriminator_ensemble", name, size=3)
    assert ensemble.size == 3
    total, shares = made(ensemble, [1.0, 2.0, 6.0])
    assert total.shape == ()
    assert 1 <= total <= 6
    # A generator never gains by losing against one of them, and the learning rate keeps its meaning.
    assert (shares >= 0).all()
    torch.testing.assert_close(shares.sum(), torch.tensor(1.0))
    torch.testing.assert_close(ensemble(torch.full((3,), 2.5)), torch.tensor(2.5))
    assert ensemble(torch.tensor([-4.0])) == -4


def test_mean_weighs_all_alike():
    total, shares = made(MeanEnsemble(3), [1.0, 2.0, 6.0])
    assert total == 3
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3))


def test_max_answers_to_the_hardest_alone():
    total, shares = made(MaxEnsemble(3), [1.0, 6.0, 2.0])
    assert total == 6
    assert shares.tolist() == [0, 1, 0]


def test_softmax_weighs_by_the_loss():
    total, shares = made(SoftmaxEnsemble(2, temperature=2.0), [0.0, 2.0])
    hard = 1 / (1 + torch.e**-1)
    torch.testing.assert_close(shares, torch.tensor([1 - hard, hard]))
    assert total.item() == pytest.approx(2 * hard)


losses = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=5)


@given(values=losses)
def test_softmax_lies_between_mean_and_max(values):
    mean, hardest = made(MeanEnsemble(5), values)[0], made(MaxEnsemble(5), values)[0]
    assert mean - 1e-4 <= made(SoftmaxEnsemble(5, temperature=1.0), values)[0] <= hardest + 1e-4
    torch.testing.assert_close(made(SoftmaxEnsemble(5, temperature=1e9), values)[0], mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(made(SoftmaxEnsemble(5, temperature=1e-3), values)[0], hardest, atol=1e-2, rtol=1e-4)
