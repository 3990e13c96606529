"""Ensembles of discriminators: how the generator's losses become one."""

import torch


def test_contract(name, build):
    ensemble = build("discriminator_ensemble", name, size=3)
    assert ensemble.size == 3
    losses = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    total = ensemble(losses)
    assert total.shape == ()
    assert 1 <= total <= 6
    total.backward()
    assert losses.grad.any()
    torch.testing.assert_close(ensemble(torch.full((3,), 2.5)), torch.tensor(2.5))


def test_mean_weighs_all_alike(build):
    losses = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    total = build("discriminator_ensemble", "mean", size=3)(losses)
    assert total == 3
    total.backward()
    torch.testing.assert_close(losses.grad, torch.full((3,), 1 / 3))
