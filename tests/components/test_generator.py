"""Generators: size and range of their images, and what the paper's does with noise and blur."""

import pytest
import torch
from torch.nn import functional as F

from cellab_components.generator import AdaptiveNoise, Blur, Doubling


@pytest.mark.usefixtures("_deterministic")
@pytest.mark.parametrize("size", [8, 16, 64])
def test_contract(name, build, size):
    net = build("generator", name, latent=6, width=4, size=size)
    assert (net.latent, net.size) == (6, size)
    images = net(torch.randn(3, 6))
    assert images.shape == (3, 1, size, size)
    assert images.abs().max() <= 1
    assert not torch.allclose(images[0], images[1])
    images.square().mean().backward()
    assert not [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()]


def noises(net):
    return [module for module in net.modules() if isinstance(module, AdaptiveNoise)]


def test_paper_doubles_five_times_to_128_pixels(build):
    net = build("generator", "paper", width=2, size=128, max_width=16)
    assert len([m for m in net.modules() if isinstance(m, Doubling)]) == 5
    assert net.widths == [16, 16, 16, 8, 4, 2]
    assert net(torch.randn(2, net.latent)).shape == (2, 1, 128, 128)


def test_paper_is_without_noise_at_the_start(build):
    net = build("generator", "paper", latent=6, width=4, size=16)
    z = torch.randn(2, 6)
    assert len(noises(net)) == 2
    assert all(not noise.weight.any() for noise in noises(net))
    assert torch.equal(net(z), net(z))


def test_noise_weights_learn_and_then_make_images_of_one_vector_differ(build):
    net = build("generator", "paper", latent=6, width=4, size=16)
    z = torch.randn(2, 6)
    net(z).square().mean().backward()
    assert all(noise.weight.grad.any() for noise in noises(net))
    with torch.no_grad():
        for noise in noises(net):
            noise.weight.fill_(0.5)
    assert not torch.allclose(net(z), net(z))
    torch.manual_seed(3)
    first = net(z)
    torch.manual_seed(3)
    assert torch.equal(first, net(z))  # the noise is the global generator's


def test_adaptive_noise_is_one_map_an_image_with_a_weight_a_channel():
    noise = AdaptiveNoise(3)
    with torch.no_grad():
        noise.weight.copy_(torch.tensor([0.0, 1.0, -2.0]).view(1, 3, 1, 1))
    made = noise(torch.zeros(200, 3, 8, 8))
    assert not made[:, 0].any()
    torch.testing.assert_close(made[:, 2], -2 * made[:, 1])
    assert abs(made[:, 1].mean()) < 0.05
    assert abs(made[:, 1].std() - 1) < 0.05
    assert not torch.equal(made[0], made[1])


def test_blur_is_the_fixed_binomial_kernel():
    x = torch.zeros(1, 2, 5, 5)
    x[0, 1, 2, 2] = 16
    blur = Blur(2)
    assert not list(blur.parameters())
    expected = torch.zeros(5, 5)
    expected[1:4, 1:4] = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
    assert not blur(x)[0, 0].any()
    assert torch.equal(blur(x)[0, 1], expected)


def test_doubling_follows_the_paper_s_order():
    doubling = Doubling(4, 2)
    order = []
    for key, module in doubling.named_children():
        module.register_forward_hook(lambda _, given, made, key=key: order.append((key, given[0], made)))
    x = torch.randn(2, 4, 4, 4)
    result = doubling(x)
    seen = {key: (given, made) for key, given, made in order}
    assert [key for key, *_ in order] == ["transposed", "first_norm", "blur", "noise", "convolution", "second_norm"]
    assert torch.equal(seen["blur"][0], F.gelu(seen["first_norm"][1]))
    assert torch.equal(seen["convolution"][0], seen["noise"][1])
    assert torch.equal(result, F.gelu(seen["second_norm"][1]))
    assert doubling.first_norm.affine
    assert doubling.second_norm.affine
    assert result.shape == (2, 2, 8, 8)
