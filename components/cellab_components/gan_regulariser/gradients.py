"""Gradients of logits with respect to images, for the penalties on them."""

import torch
from torch import Generator, Tensor, nn


def gradient_of(discriminator: nn.Module, images: Tensor) -> Tensor:
    """The logits' gradients (B, C * H * W) with respect to their images, themselves differentiable."""
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return gradient.flatten(1)


def device_of(generator: Generator | None) -> torch.device | str:
    """Where a generator draws: the CPU where it is None."""
    return generator.device if generator is not None else "cpu"


def lifted(images: Tensor) -> Tensor:
    """Half-precision images as float32, others as they are."""
    return images.float() if images.dtype in (torch.float16, torch.bfloat16) else images
