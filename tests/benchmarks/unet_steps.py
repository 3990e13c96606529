"""What memory layout and precision save: the laptop's U-Net on one CPU thread, as it learns and as it votes.

    python tests/benchmarks/unet_steps.py

All take turns, so that other work on the machine meets them alike. Reports ratios of median times.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from cellab import components

REPEATS = 25
WAYS = {
    "contiguous, float32": (torch.contiguous_format, False),
    "channels last, float32": (torch.channels_last, False),
    "channels last, bfloat16": (torch.channels_last, True),
}


def learning(layout: torch.memory_format, *, halves: bool) -> Callable[[Tensor, Tensor], None]:
    """One step of training on a batch."""
    network = components.build("unet", "paper", width=8, blocks=3).to(memory_format=layout)
    optimiser = torch.optim.Adam(network.parameters())

    def step(images: Tensor, targets: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=halves):
            logits = network(images.contiguous(memory_format=layout))
        F.binary_cross_entropy_with_logits(logits.float(), targets).backward()
        optimiser.step()

    return step


def voting(layout: torch.memory_format, *, halves: bool) -> Callable[[Tensor, Tensor], None]:
    """One vote on a batch."""
    network = components.build("unet", "paper", width=8, blocks=3).to(memory_format=layout).eval()

    @torch.no_grad()
    def vote(images: Tensor, _targets: Tensor) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=halves):
            network(images.contiguous(memory_format=layout)).float().sigmoid()

    return vote


def main() -> None:
    """Measures all, turn by turn."""
    torch.set_num_threads(1)
    images, targets = torch.rand(16, 1, 64, 64), (torch.rand(16, 1, 64, 64) > 0.8).float()
    for what, make in (("a step", learning), ("a vote", voting)):
        ready = {name: make(layout, halves=halves) for name, (layout, halves) in WAYS.items()}
        durations: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(REPEATS):
            for name, work in ready.items():
                start = time.perf_counter()
                work(images, targets)
                durations[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(times[3:]) for name, times in durations.items()}
        slowest, *others = medians
        for name in others:
            ratio = medians[slowest] / medians[name]
            print(f"{what}: {name} is {ratio:.2f} times as fast as {slowest} ({1e3 * medians[name]:.0f} ms)")


if __name__ == "__main__":
    main()
