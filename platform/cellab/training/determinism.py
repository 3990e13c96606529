"""Makes a stage's arithmetic repeatable: threads, random state and deterministic kernels, restored afterwards."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic(threads: int) -> Iterator[None]:
    """Within the block torch computes with `threads` CPU threads, deterministically.

    On CPU the same random streams and threads give the same bytes. CUDA has no deterministic kernel for the backward
    pass of bilinear upsampling; there torch warns instead of failing.
    """
    before = torch.get_num_threads(), torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    torch.manual_seed(0)  # for what draws from torch's own generators outside of any of a stage's streams
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_rng_state(before[1])
        torch.use_deterministic_algorithms(before[2])
