"""Discriminators: one logit an image, judged by itself; receptive fields; the image shown again at every scale."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F


def small(build, name, **arguments):
    return build("discriminator", name, **{"width": 4, "size": 32, **arguments})


@pytest.mark.usefixtures("_deterministic")
@pytest.mark.parametrize("size", [8, 32])
def test_contract(name, build, size):
    net = small(build, name, size=size)
    images = torch.rand(5, 1, size, size) * 2 - 1
    logits = net(images)
    assert logits.shape == (5,)
    logits.square().mean().backward()
    assert not [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    for bad in ((5, 1, size, 2 * size), (5, 2, size, size), (1, size, size)):
        with pytest.raises(ValueError, match=rf"not of shape \(B, 1, {size}, {size}\)"):
            net(torch.rand(bad))


def test_a_logit_does_not_depend_on_the_neighbours(name, build):
    net = small(build, name)
    images = torch.rand(4, 1, 32, 32, requires_grad=True)
    logits = net(images)
    (gradient,) = torch.autograd.grad(logits[1], images)
    assert gradient[1].any()
    assert not gradient[[0, 2, 3]].any()
    torch.testing.assert_close(net(images[1:2]), logits[1:2])
    assert not [module for module in net.modules() if "Norm" in type(module).__name__]


def test_gradient_of_a_gradient_reaches_the_weights(name, build):
    net = small(build, name)
    images = torch.rand(2, 1, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(images).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    weights = [p for key, p in net.named_parameters() if key.endswith("weight")]
    assert all(p.grad is not None and p.grad.any() for p in weights)


def receptive_side(net, depth):
    """Side in pixels of what a central value of the map after `depth` blocks depends on."""
    seen = []
    net.blocks[depth - 1].register_forward_hook(lambda *hooked: seen.append(hooked[2]))
    image = torch.rand(1, 1, 64, 64, requires_grad=True)
    net(image)
    centre = seen[0].shape[-1] // 2
    (gradient,) = torch.autograd.grad(seen[0][:, :, centre, centre].sum(), image)
    columns = torch.nonzero(gradient.abs().sum(dim=(0, 1, 2))).squeeze(1)
    return int(columns[-1] - columns[0] + 1)


@pytest.mark.parametrize("depth", [1, 2])
def test_dilated_branches_see_further_at_the_same_depth(build, depth):
    sides = {name: receptive_side(small(build, name, size=64), depth) for name in ("plain", "dilated", "parallel")}
    assert (
        sides == ({"plain": 3, "dilated": 11, "parallel": 11}, {"plain": 7, "dilated": 23, "parallel": 23})[depth - 1]
    )
    assert receptive_side(small(build, "parallel_resampler", size=64), depth) >= sides["parallel"]


@pytest.mark.parametrize("size", [16, 64])
def test_no_pixel_escapes(name, build, size):
    net = small(build, name, size=size, width=8)
    image = torch.rand(1, 1, size, size, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(image).sum(), image)
    assert gradient.ne(0).all()


def test_presets_are_what_their_names_say(build):
    def shape(name):
        net = small(build, name, size=64)
        return [[c.dilation[0] for c in block.branches] for block in net.blocks], net.resample

    assert shape("plain") == ([[1], [1], [1], [1]], False)
    assert shape("dilated") == ([[5], [3], [1], [1]], False)
    assert shape("parallel") == ([[1, 5], [1, 3], [1], [1]], False)
    assert shape("resampler") == ([[1], [1], [1], [1]], True)
    assert shape("parallel_resampler") == (shape("parallel")[0], True)


def test_branches_share_out_the_channels_and_the_last_entry_holds_on(build):
    net = small(build, "plain", size=64, width=5, dilations=[[1, 4], [2]])
    assert [[c.dilation[0] for c in block.branches] for block in net.blocks] == [[1, 4], [2], [2], [2]]
    assert [c.out_channels for c in net.blocks[0].branches] == [3, 2]
    assert [sum(c.out_channels for c in block.branches) for block in net.blocks] == [5, 10, 20, 40]


def test_max_width_caps_the_doubling(build):
    net = small(build, "plain", size=64, width=4, max_width=8)
    assert [block.branches[0].out_channels for block in net.blocks] == [4, 8, 8, 8]


@pytest.mark.parametrize("preset", ["resampler", "parallel_resampler"])
def test_resampler_concatenates_the_image_wherever_the_map_shrinks(build, preset):
    net = small(build, preset)
    seen = []
    for module in (*net.blocks[1:], net.head):
        module.register_forward_hook(lambda *hooked: seen.append(hooked[1][0]))
    image = torch.rand(2, 1, 32, 32)
    net(image)
    assert len(seen) == 3
    for scale, given in enumerate(seen, start=1):
        shown = given[:, -1:] if given.ndim == 4 else given.view(2, -1, 4, 4)[:, -1:]
        torch.testing.assert_close(shown, F.avg_pool2d(image, 2**scale))


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_resampler_reacts_to_the_image_at_each_scale(build, scale):
    def reacts(net):
        # The blocks before this scale are silenced; what is left comes from the copies at this scale and below.
        with torch.no_grad():
            for block in net.blocks[:scale]:
                for parameter in block.parameters():
                    parameter.zero_()
        image = torch.rand(1, 1, 32, 32, requires_grad=True)
        (gradient,) = torch.autograd.grad(net(image).sum(), image)
        return bool(gradient.any())

    assert reacts(small(build, "resampler"))
    assert reacts(small(build, "parallel_resampler"))
    assert not reacts(small(build, "plain"))
    assert not reacts(small(build, "parallel"))


def test_plain_is_strided_convolutions_and_a_linear_layer(build):
    net = small(build, "plain")
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [type(m).__name__ for m in layers] == ["Conv2d"] * 3 + ["Linear"]
    assert all((m.kernel_size, m.stride, m.dilation) == ((3, 3), (2, 2), (1, 1)) for m in layers[:3])
