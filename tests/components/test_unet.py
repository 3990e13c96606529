"""U-Nets: what all of them keep to, and the wiring inside each."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cellab_components.unet.blocks import AttentionGate, DoubleConvolution, ResidualBlock


def heads(net, image):
    """The maps of logits that a network learns by: one, or several with deep supervision."""
    made = net(image)
    return made if isinstance(made, list) else [made]


def train_step(net, image):
    net.zero_grad()
    sum(logits.square().mean() for logits in heads(net, image)).backward()


@pytest.mark.usefixtures("_deterministic")
def test_contract(name, build, record_property):
    for blocks, sides in ((2, (16, 48)), (3, (64, 64)), (3, (128, 64))):
        net = build("unet", name, width=4, blocks=blocks)
        record_property(f"parameters_at_{blocks}_blocks", sum(p.numel() for p in net.parameters()))
        image = torch.rand(3, 1, *sides)
        for logits in heads(net, image):
            assert logits.shape == (3, 1, *sides)
            assert logits.dtype == torch.float32
        train_step(net, image)
        silent = [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()]
        assert not silent
        net.eval()
        assert torch.equal(net(image), net(image))
        assert net(image).shape == (3, 1, *sides)


def test_contract_of_the_defaults(name, build, record_property):
    net = build("unet", name).eval()
    record_property("parameters", sum(p.numel() for p in net.parameters()))
    assert net(torch.rand(1, 1, net.stride, net.stride)).shape == (1, 1, net.stride, net.stride)


def test_contract_of_channels_and_layout(name, build):
    net = build("unet", name, in_channels=2, width=4, blocks=2)
    image = torch.rand(2, 2, 32, 32)
    train_step(net, image)  # statistics to normalise by
    net.eval()
    plain = net(image)
    last = net.to(memory_format=torch.channels_last)(image.to(memory_format=torch.channels_last))
    torch.testing.assert_close(plain, last, rtol=1e-4, atol=1e-5)


def test_sides_of_the_stride_are_enough(name, build):
    net = build("unet", name, width=2, blocks=2).eval()
    assert net(torch.rand(1, 1, net.stride, 3 * net.stride)).shape == (1, 1, net.stride, 3 * net.stride)


@pytest.mark.parametrize("sides", [(0.5, 1), (1.5, 2), (1, 1.25), (0, 1)])
def test_bad_sides_say_what_would_be_right(name, build, sides):
    net = build("unet", name, width=2, blocks=3)
    height, width = (int(side * net.stride) for side in sides)
    with pytest.raises(ValueError, match=rf"{height} x {width} pixels .* multiples of {net.stride}"):
        net(torch.rand(2, 1, height, width))


def test_dropout_is_off_in_evaluation_and_at_zero(name, build):
    image = torch.rand(2, 1, 32, 32)
    for dropout, same in ((0.0, True), (0.5, False)):
        net = build("unet", name, width=4, blocks=2, dropout=dropout)
        first, second = heads(net, image), heads(net, image)
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True)) == same


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


VARIANTS = ("vanilla", "residual", "attention")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("sides", "blocks"), [((64, 96), 4), ((32, 32), 2)])
def test_encoder_halves_the_sides_and_doubles_the_width_with_each_pooling(build, variant, sides, blocks):
    net = build("unet", variant, width=2, blocks=blocks)
    assert net.stride == 2**blocks
    seen = recorded(net, torch.rand(2, 1, *sides))
    for level in range(blocks + 1):
        shape = (2, 2 * 2**level, *(side // 2**level for side in sides))
        assert seen[f"encoder.{level}"][1].shape == shape
        if level < blocks:
            assert seen[f"decoder.{level}"][1].shape == shape
    assert f"encoder.{blocks + 1}" not in seen


@pytest.mark.parametrize("variant", VARIANTS)
def test_decoder_sees_the_up_convolution_and_the_skip(build, variant):
    seen = recorded(build("unet", variant, width=4, blocks=3, dropout=0.0), torch.rand(2, 1, 32, 32))
    below = seen["encoder.3"][1]
    for level in reversed(range(3)):
        skip = seen[f"encoder.{level}"][1]
        assert torch.equal(seen[f"encoder.{level + 1}"][0][0], F.max_pool2d(skip, 2))
        assert torch.equal(seen[f"ups.{level}"][0][0], below)
        skip = seen[f"gates.{level}"][1] if f"gates.{level}" in seen else skip
        both = torch.cat([seen[f"ups.{level}"][1], skip], dim=1)
        assert torch.equal(seen[f"decoder.{level}"][0][0], both)
        below = seen[f"decoder.{level}"][1]
    assert torch.equal(seen["head"][0][0], below)


def test_vanilla_drops_out_after_every_pool(build):
    net = build("unet", "vanilla", width=8, blocks=2, dropout=0.5)
    seen = recorded(net, torch.rand(4, 1, 64, 64))
    for level in (0, 1):
        pooled = F.max_pool2d(seen[f"encoder.{level}"][1], 2)
        entering = seen[f"encoder.{level + 1}"][0][0]
        kept = entering != 0
        assert 0.3 < (kept & (pooled != 0)).sum() / (pooled != 0).sum() < 0.7
        torch.testing.assert_close(entering[kept], 2 * pooled[kept])


def test_vanilla_block_is_two_normalised_convolutions(build):
    net = build("unet", "vanilla", width=4, blocks=2)
    blocks = [*net.encoder, *net.decoder]
    assert all(type(block) is DoubleConvolution for block in blocks)
    assert not net.gates
    for block in blocks:
        assert [type(layer) for layer in block] == 2 * [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
        assert [layer.kernel_size for layer in block if isinstance(layer, nn.Conv2d)] == 2 * [(3, 3)]


def test_residual_block_passes_its_input_where_the_branch_is_silent():
    same, wider = ResidualBlock(4, 4), ResidualBlock(4, 6)
    x = torch.randn(2, 4, 8, 8)
    for block in (same, wider):
        assert not torch.equal(block(x), block.shortcut(x))
        nn.init.zeros_(block.branch[-1].weight)
        assert torch.equal(block(x), block.shortcut(x))
    assert torch.equal(same(x), x)
    assert wider.shortcut.kernel_size == (1, 1)


def test_residual_consists_of_residual_blocks_and_shows_the_whole_image_to_the_first(build):
    net = build("unet", "residual", width=4, blocks=2)
    assert all(type(block) is ResidualBlock for block in [*net.encoder, *net.decoder])
    for block in [*net.encoder, *net.decoder]:
        before = [] if block is net.encoder[0] else [nn.BatchNorm2d, nn.ReLU]
        assert [type(layer) for layer in block.branch] == [*before, nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d]


def test_attention_gate_by_its_formula():
    gate = AttentionGate(channels=3, below_channels=5).double()
    skip = torch.rand(2, 3, 8, 12, dtype=torch.float64)
    below = torch.rand(2, 5, 4, 6, dtype=torch.float64)
    strided = torch.einsum("oiyx,biHyWx->boHW", gate.of_skip.weight, skip.view(2, 3, 4, 2, 6, 2))
    pointwise = torch.einsum("oi,biHW->boHW", gate.of_below.weight[..., 0, 0], below)
    inner = (strided + pointwise + gate.of_below.bias.view(1, -1, 1, 1)).clamp(min=0)
    energy = torch.einsum("i,biHW->bHW", gate.psi.weight[0, :, 0, 0], inner)[:, None] + gate.psi.bias
    coarse = 1 / (1 + torch.exp(-energy))
    alpha = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(gate(skip, below), skip * alpha)
    torch.testing.assert_close(gate.coefficients(skip, below), alpha)


def test_attention_gates_every_skip_but_the_full_sized_by_the_map_below(build):
    net = build("unet", "attention", width=4, blocks=3, dropout=0.0)
    seen = recorded(net, torch.rand(2, 1, 64, 64))
    assert set(net.gates) == {"1", "2"}
    for level in (1, 2):
        (skip, below), gated = seen[f"gates.{level}"]
        assert torch.equal(skip, seen[f"encoder.{level}"][1])
        assert torch.equal(below, seen["decoder.2" if level == 1 else "encoder.3"][1])
        alpha = net.gates[str(level)].coefficients(skip, below)
        assert alpha.shape == (2, 1, *skip.shape[2:])
        assert ((alpha > 0) & (alpha < 1)).all()
        assert alpha.std() > 0, "one for each pixel"
        assert torch.equal(gated, skip * alpha)


def test_attention_coefficients_change_the_logits(build):
    net = build("unet", "attention", width=4, blocks=3, dropout=0.0)
    image = torch.rand(2, 1, 32, 32)
    before = net(image)
    assert torch.equal(before, net(image))
    for gate in net.gates.values():
        nn.init.constant_(gate.psi.bias, -100.0)
    closed = recorded(net, image)
    assert all(closed[f"gates.{level}"][1].abs().max() < 1e-30 for level in (1, 2))
    assert (before - net(image)).abs().mean() > 0.1 * before.std()


def test_gates_and_residual_blocks_go_together(build):
    net = build("unet", "attention", width=4, blocks=2, residual=True)
    assert all(type(block) is ResidualBlock for block in [*net.encoder, *net.decoder])
    assert set(net.gates) == {"1"}
    assert net(torch.rand(2, 1, 16, 16)).shape == (2, 1, 16, 16)


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_nested_nodes_see_all_before_them_and_the_one_below(build, blocks):
    net = build("unet", "nested", width=2, blocks=blocks, dropout=0.0)
    seen = recorded(net, torch.rand(2, 1, 32, 48))
    assert len(net.nodes) == (blocks + 1) * (blocks + 2) // 2
    assert len(net.ups) == blocks * (blocks + 1) // 2
    for level in range(blocks + 1):
        for j in range(blocks + 1 - level):
            (given,), made = seen[f"nodes.{level}_{j}"]
            assert made.shape == (2, 2 * 2**level, 32 // 2**level, 48 // 2**level)
            if j > 0:
                assert torch.equal(seen[f"ups.{level}_{j}"][0][0], seen[f"nodes.{level + 1}_{j - 1}"][1])
                before = [seen[f"nodes.{level}_{k}"][1] for k in range(j)]
                assert torch.equal(given, torch.cat([*before, seen[f"ups.{level}_{j}"][1]], dim=1))
            elif level > 0:
                assert torch.equal(given, F.max_pool2d(seen[f"nodes.{level - 1}_0"][1], 2))
    assert torch.equal(seen["heads.0"][0][0], seen[f"nodes.0_{blocks}"][1])


def test_nested_without_deep_supervision_has_one_head(build):
    net = build("unet", "nested", width=4, blocks=3)
    assert len(net.heads) == 1
    assert isinstance(net(torch.rand(2, 1, 16, 16)), torch.Tensor)


@pytest.mark.parametrize("blocks", [1, 3])
def test_nested_deep_supervision_learns_by_every_head_and_averages_them_in_evaluation(build, blocks):
    net = build("unet", "nested", width=4, blocks=blocks, dropout=0.0, deep_supervision=True)
    image = torch.rand(3, 1, 16, 32)
    seen = recorded(net, image)
    for head in range(blocks):
        assert torch.equal(seen[f"heads.{head}"][0][0], seen[f"nodes.0_{head + 1}"][1])
    logits = net(image)
    assert isinstance(logits, list)
    assert [each.shape for each in logits] == blocks * [(3, 1, 16, 32)]
    for head, each in enumerate(logits):
        net.zero_grad()
        each.square().mean().backward(retain_graph=True)
        moved = {key for key, p in net.named_parameters() if p.grad is not None and p.grad.any()}
        assert {key for key in moved if key.startswith("heads.")} == {f"heads.{head}.weight", f"heads.{head}.bias"}
    train_step(net, image)
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())

    net.eval()
    averaged = net(image)
    seen = recorded(net, image)
    mean = sum(seen[f"heads.{head}"][1] for head in range(blocks)) / blocks
    torch.testing.assert_close(averaged, mean)
