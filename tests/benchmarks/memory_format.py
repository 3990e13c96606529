"""Channels last against contiguous: one training step of the laptop's U-Net on one CPU thread.

    python tests/benchmarks/memory_format.py

The two take turns, so that other work on the machine meets both alike. Reports the ratio of median times.
"""

import statistics
import time

import torch
import torch.nn.functional as F

from cellab import components

REPEATS = 25


def main() -> None:
    """Measures both, step by step."""
    torch.set_num_threads(1)
    images, targets = torch.rand(16, 1, 64, 64), (torch.rand(16, 1, 64, 64) > 0.8).float()
    durations: dict[torch.memory_format, list[float]] = {torch.channels_last: [], torch.contiguous_format: []}
    networks = {}
    for layout in durations:
        network = components.build("unet", "paper", width=8, blocks=3).to(memory_format=layout)
        networks[layout] = (network, torch.optim.Adam(network.parameters()), images.contiguous(memory_format=layout))
    for _ in range(REPEATS):
        for layout, (network, optimiser, batch) in networks.items():
            start = time.perf_counter()
            optimiser.zero_grad(set_to_none=True)
            F.binary_cross_entropy_with_logits(network(batch), targets).backward()
            optimiser.step()
            durations[layout].append(time.perf_counter() - start)
    last, contiguous = (statistics.median(seconds[3:]) for seconds in durations.values())
    times = f"{1e3 * last:.0f} against {1e3 * contiguous:.0f} ms a step"
    print(f"channels last is {contiguous / last:.2f} times as fast ({times})")


if __name__ == "__main__":
    main()
