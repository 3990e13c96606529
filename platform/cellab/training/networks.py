"""Builds networks from their configurations and moves their weights in and out of files."""

from pathlib import Path
from typing import Any, Literal, overload

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from cellab.building import instantiate
from cellab.contracts import CONTRACTS, Generator, Network
from cellab.requests import Compute
from cellab.settings import Component

UNET = "unet.safetensors"
GENERATOR = "generator.safetensors"


@overload
def build_network(config: Component, kind: Literal["generator"], device: torch.device) -> Generator: ...


@overload
def build_network(config: Component, kind: Literal["unet", "discriminator"], device: torch.device) -> nn.Module: ...


def build_network(config: Component, kind: str, device: torch.device) -> Any:
    """A new network, initialised from torch's global random stream, on the device.

    On the CPU, and on GPUs, convolutions are fastest with channels last.
    """
    network: Any = instantiate(config, kind, CONTRACTS[kind])
    return network.to(device=device, memory_format=torch.channels_last)


def save_weights(network: Network, path: Path) -> None:
    """Writes parameters and buffers as safetensors."""
    path.write_bytes(save({name: value.contiguous().cpu() for name, value in network.state_dict().items()}))


@overload
def load_network(config: Component, kind: Literal["generator"], path: Path, device: torch.device) -> Generator: ...


@overload
def load_network(config: Component, kind: Literal["unet"], path: Path, device: torch.device) -> nn.Module: ...


def load_network(config: Component, kind: Any, path: Path, device: torch.device) -> Any:
    """A network with weights from a file, in evaluation mode, without gradients."""
    state = torch.get_rng_state()  # the initialisation that is overwritten must not move the stage's random stream
    network = build_network(config, kind, device)
    torch.set_rng_state(state)
    network.load_state_dict(load(path.read_bytes()))
    return network.eval().requires_grad_(False)


class InPrecision:
    """A U-Net whose layers compute in a stage's precision; what it is given and what it gives are float32.

    Args:
        network: the U-Net, whose weights are float32.
        compute: of the stage.
    """

    def __init__(self, network: Network, compute: Compute) -> None:
        self.network = network
        self.device = compute.device
        self.is_bfloat16 = compute.precision == "bfloat16"

    def __call__(self, images: Tensor) -> Any:
        """Its logits (B, 1, H, W) of images (B, 1, H, W); with deep supervision a list of them."""
        with torch.autocast(self.device, torch.bfloat16, enabled=self.is_bfloat16):
            output = self.network(to_channels_last(images))
        return [each.float() for each in output] if isinstance(output, list) else output.float()


def to_channels_last(images: Tensor) -> Tensor:
    """Images in the memory layout of the networks."""
    return images.contiguous(memory_format=torch.channels_last)
