"""How busy a study on Ray keeps its slots: their busy share, what the engine takes per stage, when the first begins.

    python tests/benchmarks/scheduling.py half.h5 --trials 20 training.steps=400

Runs `cellab ablate` with as many seeds of one arm, each a member and its evaluation, in an empty store, and reads
`stages.parquet`. To be judged on a quiet machine, with steps that make stages last some seconds.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from cellab.study_files.folder import StudyFolder

UNIFORM = """# How busy are the slots?
design: arms
arms: {baseline: []}
seeds: [0]
rank_by: dice
overrides: [scale=smoke, generations=1, members=1, acceptance=none]
"""


def gaps(stages: pl.DataFrame, slots: int) -> list[float]:
    """Seconds between the end of a stage and the beginning of the next one in the same slot."""
    free: list[float] = []
    found = []
    for began, seconds in stages.sort("began").select("began", "seconds").iter_rows():
        if len(free) == slots:
            found.append(began - free.pop(free.index(min(free))))
        free.append(began + seconds)
    return found


def main() -> None:
    """Runs a study, and says how its stages lay."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("overrides", nargs="*")
    asked = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as folder:
        ablation = Path(folder) / "uniform.yaml"
        ablation.write_text(UNIFORM)
        overrides = [f"data.path={asked.data.absolute()}", f"seeds={asked.trials}", *asked.overrides]
        command = [sys.executable, "-m", "cellab", "ablate", str(ablation), "--runs", f"{folder}/runs", *overrides]
        started = time.time()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        stages = StudyFolder(Path(folder) / "runs" / "uniform").read_stages().filter(how="ran")
    ends = stages["began"] + stages["seconds"]
    wall, busy = max(ends) - min(stages["began"]), sum(stages["seconds"])
    print(f"{len(stages)} stages of {statistics.median(stages['seconds']):.2f} s (median) in {wall:.1f} s")
    print(f"busy slot-seconds / wall slot-seconds: {busy / wall / asked.slots:.3f}")
    print(f"engine time per stage (median): {1000 * statistics.median(gaps(stages, asked.slots)):.0f} ms")
    print(f"first stage begins {min(stages['began']) - started:.1f} s after the command")


if __name__ == "__main__":
    main()
