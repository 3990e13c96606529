"""How long a large study takes to plan: seconds and CPU seconds of each part, without a store.

python tests/benchmarks/planning.py half.h5 --ablation gan_regulariser --trials 5000 scale=laptop
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cellab.ablation import load
from cellab.study import build_study, plan

T = TypeVar("T")


def timed(what: str, work: Callable[[], T]) -> T:
    """Does it, and prints what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    print(f"{what}: {time.perf_counter() - wall:.1f} s, {time.process_time() - cpu:.1f} CPU seconds", flush=True)
    return result


def main() -> None:
    """Plans a study of as many seeds as it takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--ablation", default="gan_regulariser")
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("overrides", nargs="*")
    asked = parser.parse_intermixed_args()
    overrides = [f"data.path={asked.data}", *asked.overrides]
    arms = len(load(asked.ablation, overrides).arms())
    ablation = timed("reading", lambda: load(asked.ablation, [*overrides, f"seeds={asked.trials // arms}"]))
    study = timed("composing, checking and laying out", lambda: build_study(ablation.name, ablation))
    planned = timed("counting", lambda: plan(study, None))
    asked_for = sum(count["asked"] for count in planned["stages"].values())
    print(f"{len(study.arms)} arms, {planned['trials']} trials, {asked_for} stages")


if __name__ == "__main__":
    main()
