"""What labelling frames once a generation saves: CPU seconds of whole lineages, side by side, and their Dice.

    python tests/benchmarks/labelling.py half.h5 --seeds 3 scale=laptop generations=3

Lineages that differ in `labelling` alone take turns in one process and one thread, seed by seed. What they have in
common (the generator, and generation 0) is computed once, and counts for both.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from cellab import stages
from cellab.compose import compose_trial
from cellab.data.dataset import Dataset
from cellab.lineage import Lineage, build_lineage
from cellab.outcomes import Outcome
from cellab.requests import Evaluated
from cellab.store import Store

KINDS = ("crops", "frames")


class Nobody:
    """Does not watch."""

    def begin(self, stage: object) -> None: ...

    def progress(self, key: str, step: int, steps: int) -> None: ...

    def warn(self, stage: object, text: str) -> None: ...

    def end(self, stage: object, how: str) -> None: ...


def run(lineage: Lineage, store: Store, path: Path, seconds: dict[str, float]) -> list[float]:
    """The test Dice against the truth (or the given masks) of each generation; adds each stage's CPU seconds."""
    outcomes: dict[str, Outcome] = {}
    for stage in lineage.stages:
        started = time.process_time()
        needs = [outcomes[key] for key in stage.needs]
        outcomes[stage.key] = stages.obtain(stage, store, path, needs, Nobody())
        seconds.setdefault(stage.key, time.process_time() - started)
    return [dice(outcomes[generation.evaluation]) for generation in lineage.generations]


def dice(outcome: Outcome) -> float:
    """Against the truth where there is one."""
    rows = [
        row for row in outcome.of(Evaluated).rows if (row.split, row.average, row.metric) == ("test", "micro", "dice")
    ]
    return max(rows, key=lambda row: row.reference == "truth").value


def main() -> None:
    """Compares both kinds of labelling."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("overrides", nargs="*")
    asked = parser.parse_intermixed_args()
    with Dataset.open(asked.data) as data:
        digest = data.digest
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        store, seconds = Store(folder), dict[str, float]()
        for seed in range(asked.seeds):
            spent = {}
            for kind in KINDS:
                config = compose_trial([f"data.path={asked.data}", *asked.overrides, f"labelling={kind}"])
                lineage = build_lineage(config, kind, seed, digest, "cpu")
                scores = run(lineage, store, asked.data, seconds)
                spent[kind] = sum(seconds[stage.key] for stage in lineage.stages)
                told = " ".join(f"{score:.3f}" for score in scores)
                print(f"seed {seed}, {kind}: {spent[kind]:.0f} CPU seconds, Dice by generation {told}", flush=True)
            ratios.append(spent["frames"] / spent["crops"])
    print(f"frames take {statistics.median(ratios):.2f} of the CPU seconds of crops (median of {len(ratios)} seeds)")


if __name__ == "__main__":
    main()
