"""What stages cost: measured where they run, and kept beside their results, of which it is no part.

Two runs of a stage leave the same result and different costs, so that these lie in the store's `costs/<key>.json`, not
in the stage's entry. A stage that goes on from a checkpoint is measured from there on.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from cellab.stage import Stage
from cellab.store import Store

_PROCESS = Path("/proc/self")
_FORGET_PEAK = "5"  # to `clear_refs`; see proc(5)


@dataclass(frozen=True)
class Cost:
    """What one stage took.

    Args:
        began: when, in seconds since 1970, by its node's clock.
        seconds: it lasted.
        cpu_seconds: of its process, all threads together.
        peak_bytes: of memory that its process held, libraries included; where the system cannot forget an earlier
            peak of the same process, the highest so far.
        gpu_peak_bytes: of memory that torch took on the GPU; None without one.
        device: ``"cpu"``, or the GPU's name.
    """

    began: float
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    gpu_peak_bytes: int | None
    device: str


_COST = TypeAdapter(Cost)


@contextmanager
def recorded(stage: Stage, store: Store) -> Iterator[None]:
    """Measures the block, in which a stage runs, and keeps what it took in the store, if the block ends well."""
    began, wall, cpu = time.time(), time.monotonic(), time.process_time()
    _forget_peaks(stage.device)
    yield
    cost = Cost(
        began=began,
        seconds=time.monotonic() - wall,
        cpu_seconds=time.process_time() - cpu,
        peak_bytes=peak_bytes(),
        gpu_peak_bytes=_gpu_peak_bytes(stage.device),
        device=_name(stage.device),
    )
    with suppress(OSError):  # the result is stored: nothing fails for want of its cost
        store.write_note(_note(stage.key), json.dumps(asdict(cost)).encode())


def cost_of(key: str, store: Store) -> Cost | None:
    """What the stage of a key took, or None where nobody has written it down."""
    with suppress(OSError, ValueError):
        note = store.read_note(_note(key))
        return None if note is None else _COST.validate_python(json.loads(note))
    return None


def _note(key: str) -> str:
    return f"costs/{key}.json"


def _forget_peaks(device: str) -> None:
    """A process runs one stage after the other: each has a peak of its own, where the system can tell."""
    with suppress(OSError):
        (_PROCESS / "clear_refs").write_text(_FORGET_PEAK)
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()


def peak_bytes() -> int:
    """The most memory that this process has held, since a stage began where the system can tell."""
    with suppress(OSError, StopIteration):
        lines = (_PROCESS / "status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _gpu_peak_bytes(device: str) -> int | None:
    if device != "cuda":
        return None
    import torch

    return int(torch.cuda.max_memory_allocated())


def _name(device: str) -> str:
    if device != "cuda":
        return device
    import torch

    return torch.cuda.get_device_name()
