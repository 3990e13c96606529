"""U-Nets: what all of them keep to, and the wiring inside the paper's."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F


def train_step(net, image):
    net.zero_grad()
    net(image).square().mean().backward()


@pytest.mark.usefixtures("_deterministic")
def test_contract(name, build, record_property):
    for blocks, sides in ((2, (16, 48)), (3, (64, 64))):
        net = build("unet", name, width=4, blocks=blocks)
        record_property(f"parameters_at_{blocks}_blocks", sum(p.numel() for p in net.parameters()))
        image = torch.rand(3, 1, *sides)
        assert net(image).shape == (3, 1, *sides)
        assert net(image).dtype == torch.float32
        train_step(net, image)
        silent = [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()]
        assert not silent
        net.eval()
        assert torch.equal(net(image), net(image))


def test_contract_of_channels_and_layout(name, build):
    net = build("unet", name, in_channels=2, width=4, blocks=2).eval()
    image = torch.rand(2, 2, 32, 32)
    plain = net(image)
    last = net.to(memory_format=torch.channels_last)(image.to(memory_format=torch.channels_last))
    torch.testing.assert_close(plain, last, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sides", [(60, 64), (64, 65), (32, 64), (0, 64)])
def test_bad_sides_say_what_would_be_right(name, build, sides):
    net = build("unet", name, width=2, blocks=3)
    with pytest.raises(ValueError, match=rf"{sides[0]} x {sides[1]} pixels .* multiples of {net.stride}"):
        net(torch.rand(2, 1, *sides))


def test_bad_shape_says_what_would_be_right(name, build):
    with pytest.raises(ValueError, match=r"\(2, 3, 64, 64\) is not of shape \(B, 1, H, W\)"):
        build("unet", name, width=2, blocks=3)(torch.rand(2, 3, 64, 64))


def test_initialisation_comes_from_the_global_generator(name, build):
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in build("unet", name, width=2, blocks=2).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def recorded(net, image):
    """Inputs and outputs of every module of a forward pass, by the module's name."""
    seen = {}
    for key, module in net.named_modules():
        module.register_forward_hook(lambda _, given, made, key=key: seen.__setitem__(key, (given, made)))
    net(image)
    return seen


@pytest.mark.parametrize(("side", "blocks"), [(256, 4), (64, 3)])
def test_paper_quarters_its_sides_down_to_one_pixel(build, side, blocks):
    net = build("unet", "paper", width=2, blocks=blocks)
    assert net.stride == side
    seen = recorded(net, torch.rand(2, 1, side, side))
    for block in range(blocks):
        (given, *_), (below, skip) = seen[f"down.{block}"]
        width = 2 * 2**block
        assert skip.shape == (2, width, given.shape[2] // 2, given.shape[3] // 2)
        assert below.shape == (2, width, given.shape[2] // 4, given.shape[3] // 4)
        assert seen[f"up.{block}"][1].shape[2:] == given.shape[2:]
    assert seen[f"down.{blocks - 1}"][1][0].shape[2:] == (1, 1)


def test_paper_concatenates_the_same_skip_twice(build):
    seen = recorded(build("unet", "paper", width=4, blocks=3), torch.rand(2, 1, 64, 64))
    for block in range(3):
        skip = seen[f"down.{block}"][1][1]
        width = skip.shape[1]
        first = seen[f"up.{block}.convolutions.0"][0][0]
        second = seen[f"up.{block}.transposed"][0][0]
        assert first.shape[1] == second.shape[1] == 2 * width
        assert torch.equal(first[:, width:], skip)
        assert torch.equal(second[:, width:], skip)
        assert torch.equal(second[:, :width], seen[f"up.{block}.convolutions"][1])


def test_paper_upsamples_bilinearly_and_pools_the_skip(build):
    seen = recorded(build("unet", "paper", width=4, blocks=2, dropout=0.0), torch.rand(2, 1, 32, 32))
    for block in range(2):
        below, skip = seen[f"down.{block}"][1]
        assert torch.equal(below, F.max_pool2d(skip, 2))
        entering = seen[f"up.{block}"][0][0]
        doubled = F.interpolate(entering, scale_factor=2, mode="bilinear", align_corners=False)
        assert torch.equal(seen[f"up.{block}.convolutions.0"][0][0][:, : doubled.shape[1]], doubled)


def test_paper_drops_out_after_the_pool_and_only_there(build):
    net = build("unet", "paper", width=8, blocks=2, dropout=0.5)
    seen = recorded(net, torch.rand(4, 1, 64, 64))
    below, skip = seen["down.0"][1]
    kept = below != 0
    assert 0.4 < kept.float().mean() < 0.6
    torch.testing.assert_close(below[kept], 2 * F.max_pool2d(skip, 2)[kept])


def test_paper_shows_the_image_to_the_first_block_and_to_the_output_stage(build):
    net = build("unet", "paper", width=4, blocks=2)
    image = torch.rand(2, 1, 32, 32)
    seen = recorded(net, image)
    convolutions = {key for key, module in net.named_modules() if type(module).__name__ == "ConcatConv"}
    shown = {key for key in convolutions if len(seen[key][0]) > 1 and seen[key][0][1] is not None}
    assert shown == {"down.0.first.convolution", "output.0.convolution", "output.1.convolution"}
    for key in shown:
        module = net.get_submodule(key)
        (x, concatenated), made = seen[key]
        assert concatenated is image
        assert module.weight.shape[1] == x.shape[1] + 1 == 5
        whole = F.conv2d(torch.cat([x, image], dim=1), module.weight, module.bias, padding=1)
        torch.testing.assert_close(made, whole, rtol=1e-4, atol=1e-5)


def test_paper_normalises_the_blocks_and_neither_stem_nor_output(build):
    net = build("unet", "paper", width=4, blocks=2)
    seen = recorded(net, torch.rand(2, 1, 32, 32))
    norms = [key for key, module in net.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 2 * (3 + 3)
    assert all(key.startswith(("down.", "up.")) for key in norms)
    for key in ("stem.0", "stem.1", "output.0", "output.1"):
        assert torch.equal(seen[key][1], F.gelu(seen[f"{key}.convolution"][1]))
    for key in ("down.1.first", "down.1.second", "down.1.strided", "up.0.convolutions.1"):
        assert torch.equal(seen[f"{key}.norm"][0][0], seen[f"{key}.convolution"][1])
        assert torch.equal(seen[key][1], F.gelu(seen[f"{key}.norm"][1]))
    assert torch.equal(seen["up.0.norm"][0][0], seen["up.0.transposed"][1])
    assert torch.equal(seen["up.0"][1], F.gelu(seen["up.0.norm"][1]))
    head = net.head
    assert head.kernel_size == (1, 1)
    assert torch.equal(seen["head"][0][0], seen["output.1"][1])
