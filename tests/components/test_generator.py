"""Generators: size and range of their images, and what they do with noise, blur and style."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cellab_components.generator.layers import AdaptiveNoise, Blur
from cellab_components.generator.paper import Doubling
from cellab_components.generator.style import ModulatedConv


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


def test_without_noise_at_the_start(name, build):
    net = build("generator", name, latent=6, width=4, size=16)
    z = torch.randn(2, 6)
    assert not [noise for noise in noises(net) if noise.weight.any()]
    assert torch.equal(net(z), net(z))


@pytest.mark.parametrize(("noisy", "count"), [("paper", 2), ("style", 5)])
def test_noise_weights_learn_and_then_make_images_of_one_vector_differ(build, noisy, count):
    net = build("generator", noisy, latent=6, width=4, size=16)
    z = torch.randn(2, 6)
    net(z).square().mean().backward()
    assert len(noises(net)) == count
    assert all(noise.weight.grad.any() for noise in noises(net))
    with torch.no_grad():
        for noise in noises(net):
            noise.weight.fill_(0.5)
    assert not torch.allclose(net(z), net(z))
    torch.manual_seed(3)
    first = net(z)
    torch.manual_seed(3)
    assert torch.equal(first, net(z))  # the noise is the global generator's


def test_one_image_does_not_depend_on_the_others_once_trained(name, build):
    net = build("generator", name, latent=6, width=4, size=16)
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(8, 6))
        net.eval()
        z = torch.randn(4, 6)
        torch.testing.assert_close(net(z)[1:2], net(z[1:2]))


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


def test_dcgan_is_transposed_convolutions_with_batch_norm_but_at_the_output(build):
    net = build("generator", "dcgan", width=2, size=128, max_width=16)
    transposed = [m for m in net.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [m.out_channels for m in transposed] == [16, 16, 8, 4, 1]
    assert net.widths == [16, 16, 16, 8, 4]
    assert len([m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]) == 5
    assert not noises(net)
    big = build("generator", "dcgan", size=32)
    assert all(m.weight.std().item() == pytest.approx(0.02, rel=0.1) for m in (big.linear, big.output))


def test_styles_do_not_depend_on_the_length_of_z(build):
    net = build("generator", "style", latent=6, width=4, size=8)
    z = torch.randn(3, 6)
    torch.testing.assert_close(net(z), net(5 * z))
    assert len(net.mapping) == 4


def test_style_keeps_the_variance_at_the_start(build):
    net = build("generator", "style", latent=64, width=16, size=32)
    seen = []
    for module in net.modules():
        if isinstance(module, ModulatedConv):
            module.register_forward_hook(lambda *hooked: seen.append(hooked[2]))
    with torch.no_grad():
        net(torch.randn(8, 64))
    assert len(seen) == 8
    assert all(0.2 < made.std() < 3 for made in seen)


@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_convolution_equals_weights_of_each_sample(demodulate):
    conv = ModulatedConv(3, 5, latent=4, kernel_size=3, demodulate=demodulate).double()
    x, w = torch.randn(2, 3, 6, 6, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    made = conv(x, w)
    for sample in range(2):
        style = (conv.style.weight @ w[sample] + conv.style.bias)[None, :, None, None]
        weight = conv.weight * style
        if demodulate:
            weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        torch.testing.assert_close(made[sample : sample + 1], F.conv2d(x[sample : sample + 1], weight, padding=1))


def test_upsampling_is_the_filter_1_3_3_1():
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 1, 1] = 16
    made = Blur(1)(F.interpolate(x, scale_factor=2, mode="nearest"))[0, 0]
    row = torch.tensor([1.0, 3, 3, 1])
    torch.testing.assert_close(made[1:5, 1:5], torch.outer(row, row))
    assert made.sum() == 64
