"""Networks: what they compute with."""

import torch
from torch import nn

from cellab import components
from cellab.requests import Compute
from cellab.training.networks import InPrecision


class TwoHeads(nn.Module):
    """Gives what its layers gave, twice."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, images):
        made = self.layer(images)
        self.dtype = made.dtype
        return [made, 2 * made]


def test_layers_compute_in_the_wanted_precision_and_give_float32():
    images = torch.rand(2, 1, 8, 8)
    network = TwoHeads()
    for precision in ("float32", "bfloat16"):
        outputs = InPrecision(network, Compute("cpu", 1, precision))(images)
        assert network.dtype == getattr(torch, precision)
        assert [output.dtype for output in outputs] == [torch.float32] * 2


def test_a_unet_in_bfloat16_is_near_the_one_in_float32_and_learns_in_float32():
    torch.manual_seed(0)
    unet = components.build("unet", "paper", width=4, blocks=2)
    images = torch.rand(4, 1, 32, 32)
    exact, rounded = (InPrecision(unet, Compute("cpu", 1, name))(images) for name in ("float32", "bfloat16"))
    assert 0 < float((exact - rounded).detach().abs().max()) < 0.05
    rounded.mean().backward()
    assert {parameter.grad.dtype for parameter in unet.parameters()} == {torch.float32}
