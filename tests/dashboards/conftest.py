"""Fabricates studies' folders for the report's tests: made-up numbers, random blobs. Nothing in them was measured."""

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np
import polars as pl
import pytest
import yaml
from scipy import ndimage

Fabricate = Callable[..., Path]
METRICS = ("dice", "jaccard", "precision", "recall")
SPLITS = ("train", "validation", "test")
FRAME, SMALL = (90, 400), 32  # wider than the report shows; the GAN's images
STOPPED = {"status": "stopped", "stage": "gen 1 member 0"}
DIVERGED = {"status": "diverged", "stage": "generator", "step": 417}


@dataclass(frozen=True)
class MadeUp:
    """What a fabricated study is like.

    Args:
        arms: their names; the first is the baseline.
        seeds: of every arm.
        generations: how many.
        truth: whether there are complete masks.
        gan: whether there are generated images.
        calibrated: whether votes were.
        short: arms that have generation 0 only.
        diverged: trials (arm, seed) that diverged while the generator was trained, so that nothing else is known.
        stopped: trials that ended before the last generation.
        not_run: trials of which nothing is known.
        frames: outputs kept of each split.
        frame_size: height and width.
    """

    arms: tuple[str, ...] = ("gan_loss=ns_gp", "gan_loss=wgan")
    seeds: tuple[int, ...] = (0, 1, 2)
    generations: int = 3
    short: frozenset[str] = frozenset()
    truth: bool = True
    gan: bool = True
    calibrated: bool = False
    diverged: frozenset[tuple[str, int]] = frozenset()
    stopped: frozenset[tuple[str, int]] = frozenset()
    not_run: frozenset[tuple[str, int]] = frozenset()
    frames: int = 1
    frame_size: tuple[int, int] = FRAME

    @property
    def reference(self) -> str:
        return "truth" if self.truth else "given"

    @property
    def trials(self) -> list[tuple[str, int]]:
        """Those that have results."""
        every = [(arm, seed) for arm in self.arms for seed in self.seeds]
        return [trial for trial in every if trial not in self.diverged | self.not_run]

    def reached(self, trial: tuple[str, int]) -> range:
        """The generations that a trial evaluated."""
        return range(self.last(trial[0]) + 1 - (trial in self.stopped))

    def last(self, arm: str) -> int:
        """An arm's last generation."""
        return 0 if arm in self.short else self.generations - 1


@pytest.fixture
def fabricate(tmp_path: Path) -> Fabricate:
    """Makes a study's folder: `fabricate(arms=(...), seeds=(...), ...)`, with the arguments of `MadeUp`."""

    def make(folder: Path | None = None, **options: Any) -> Path:
        return write_study(folder or tmp_path / "study", MadeUp(**options))

    return make


def write_study(folder: Path, made: MadeUp) -> Path:
    folder.mkdir()
    results = pl.DataFrame([row for trial in made.trials for row in result_rows(made, trial)], schema=RESULTS)
    results.write_parquet(folder / "results.parquet")
    labels = [row for trial in made.trials for row in counter_rows(made, trial)]
    pl.DataFrame(labels, schema=COUNTERS).write_parquet(folder / "pseudo_labels.parquet")
    found = [row for trial in made.trials for row in calibration_rows(made, trial)] if made.calibrated else []
    pl.DataFrame(found, schema=CALIBRATIONS).write_parquet(folder / "calibrations.parquet")
    entries = [arm_entry(made, arm, results) for arm in made.arms]
    ranked = sorted(entries, key=lambda entry: -entry["validation"].get("dice", {"mean": -1})["mean"])
    for place, entry in enumerate(ranked, start=1):
        entry["rank"] = place if entry["completed"] else None
    question = "Which loss <wins> & why?"
    ranking = {"study": "made_up", "question": question, "rank_by": "dice", "arms": ranked}
    ranking |= {"rank_split": "validation", "rank_reference": made.reference, "rank_average": "micro"}
    (folder / "arms.json").write_text(json.dumps(ranking | {"generation": made.generations - 1}))
    description = {"name": "made_up", "question": question, "seeds": list(made.seeds), "config": {"members": 3}}
    (folder / "study.yaml").write_text(yaml.safe_dump(description))
    counts = {"asked": 12, "distinct": 7, "stored": 0}
    plan = {"study": "made_up", "arms": [], "seeds": list(made.seeds), "trials": 6, "stages": {"train_gan": counts}}
    (folder / "plan.json").write_text(json.dumps(plan))
    provenance = {"data": {"path": "some/cells.h5", "digest": "0123456789abcdef"}, "git": {"commit": "c0ffee"}}
    (folder / "provenance.json").write_text(json.dumps(provenance))
    write_images(folder / "images.h5", made)
    return folder


RESULTS: dict[str, Any] = {"arm": pl.String, "seed": pl.Int64, "generation": pl.Int64, "split": pl.String}
RESULTS |= {"reference": pl.String, "average": pl.String, "metric": pl.String, "value": pl.Float64}
COUNTERS: dict[str, Any] = {"arm": pl.String, "seed": pl.Int64, "generation": pl.Int64, "member": pl.Int64}
COUNTERS |= {"source": pl.String, "tried": pl.Int64, "rejected_by_prominence": pl.Int64}
COUNTERS |= {"rejected_by_entropy": pl.Int64, "rejected_as_empty": pl.Int64, "accepted": pl.Int64}
COUNTERS |= {"refreshes": pl.Int64, "gave_up": pl.Int64, "dice_accepted": pl.Float64, "dice_rejected": pl.Float64}
COUNTERS |= {"threshold": pl.List(pl.Float64)}


CALIBRATIONS: dict[str, Any] = {"arm": pl.String, "seed": pl.Int64, "generation": pl.Int64, "member": pl.Int64}
CALIBRATIONS |= {"label_frequency": pl.Float64, "cut": pl.Float64, "scores": pl.List(pl.Float64)}


def random(*what: Any) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(what).encode()))


def calibration_rows(made: MadeUp, trial: tuple[str, int]) -> Iterator[dict[str, Any]]:
    arm, seed = trial
    for generation in made.reached(trial):
        for member in (None, 0, 1, 2):
            frequency = 0.4 + 0.1 * generation + 0.01 * (member or 0)
            scores = [max(0.0, 4 * cut / 100 * (1 - cut / 100)) for cut in range(101)]
            where = {"arm": arm, "seed": seed, "generation": generation, "member": member}
            yield {**where, "label_frequency": frequency, "cut": frequency / 2, "scores": scores}


def result_rows(made: MadeUp, trial: tuple[str, int]) -> Iterator[dict[str, Any]]:
    arm, seed = trial
    for generation in made.reached(trial):
        level = 0.72 + 0.03 * random(arm).normal() + 0.14 * (1 - 0.4**generation)
        for split in SPLITS:
            for reference in ("given", "truth") if made.truth else ("given",):
                for average in ("micro", "macro"):
                    where = {"split": split, "reference": reference, "average": average}
                    hidden = (split, reference) == ("train", "truth")
                    for metric in (*METRICS, "hidden_recall") if hidden else METRICS:
                        noise = random(arm, seed, generation, *where.values(), metric).normal()
                        value = float(np.clip(level - 0.1 * (metric == "jaccard") + 0.015 * noise, 0, 1))
                        whose = {"arm": arm, "seed": seed, "generation": generation}
                        yield {**whose, **where, "metric": metric, "value": value}


def counter_rows(made: MadeUp, trial: tuple[str, int]) -> Iterator[dict[str, Any]]:
    """100 tried by each source of two members: 40 rejected by prominence, 25 by entropy, 5 as empty, 30 accepted."""
    counts = {"tried": 100, "rejected_by_prominence": 40, "rejected_by_entropy": 25, "rejected_as_empty": 5}
    counts |= {"accepted": 30, "refreshes": 9, "gave_up": 0}
    for generation in list(made.reached(trial))[1:]:
        for member in (0, 1):
            for source in ("pseudo", "generated") if made.gan else ("pseudo",):
                compared = made.truth and source == "pseudo"
                dice = {"dice_accepted": 0.91 if compared else None, "dice_rejected": 0.72 if compared else None}
                end = 60 + 10 * random(*trial, generation, member, source).normal()
                threshold = (end * (1 - np.exp(-np.arange(60) / 12))).tolist()
                where = {"arm": trial[0], "seed": trial[1], "generation": generation, "member": member}
                yield {**where, "source": source, **counts, **dice, "threshold": threshold}


def arm_entry(made: MadeUp, arm: str, results: pl.DataFrame) -> dict[str, Any]:
    trials = [known(made, (arm, seed)) for seed in made.seeds if (arm, seed) not in made.not_run]
    completed = [trial["seed"] for trial in trials if trial["status"] == "completed"]
    last = results.filter(
        pl.col("arm") == arm,
        pl.col("seed").is_in(completed),
        pl.col("average") == "micro",
        pl.col("reference") == made.reference,
        pl.col("generation") == made.last(arm),
    )
    hidden = last.filter(pl.col("split") == "train", pl.col("metric") == "hidden_recall")
    states = [trial["status"] for trial in trials]
    return {
        "rank": None,
        "arm": arm,
        "baseline": arm == made.arms[0],
        "overrides": [arm],
        "generation": made.last(arm),
        "best": made.last(arm),
        "planned": len(made.seeds),
        **{state: states.count(state) for state in ("completed", "diverged", "failed", "stopped")},
        "validation": summaries(last.filter(pl.col("split") == "validation")),
        "test": summaries(last.filter(pl.col("split") == "test")) | summaries(hidden),
        "trials": trials,
    }


def known(made: MadeUp, trial: tuple[str, int]) -> dict[str, Any]:
    nothing = {"seed": trial[1], "stage": None, "step": None, "message": None}
    if trial in made.diverged:
        return {**nothing, **DIVERGED, "message": "the loss of discriminator 0 became nan at step 417"}
    if trial in made.stopped:
        return {**nothing, **STOPPED, "message": "it was stopped before its end"}
    return {**nothing, "status": "completed"}


def summaries(rows: pl.DataFrame) -> dict[str, Any]:
    return {
        name: {"mean": group["value"].mean(), "sd": group["value"].std(), "n": group.height}
        for (name,), group in rows.group_by("metric")
    }


def write_images(path: Path, made: MadeUp) -> None:
    with h5py.File(path, "w") as file:
        for arm, seed in made.trials:
            where = f"{quote(arm, safe='')}/{seed}"
            if made.gan:
                if "real" not in file:
                    file["real"] = np.stack([blobs((SMALL, SMALL), 3, "real", i)[0] for i in range(24)])
                file[f"generated/{where}"] = np.stack([blobs((SMALL, SMALL), 2, arm, seed, i)[0] for i in range(24)])
            for generation in made.reached((arm, seed)):
                for split in SPLITS:
                    for frame in range(made.frames):
                        group = file.create_group(f"overlays/{where}/{generation}/{split}/{frame + 7}")
                        group.attrs["name"] = f"section {frame + 7:04d}"
                        write_overlay(group, made, (split, frame), (arm, seed, generation))


def write_overlay(group: h5py.Group, made: MadeUp, frame: tuple[Any, ...], output: tuple[Any, ...]) -> None:
    """One frame's picture: the same frame has the same image and masks for every arm, the output differs."""
    group["image"], truth = blobs(made.frame_size, 6, *frame)
    labels, count = ndimage.label(truth)
    given = truth * np.append(0, random(*frame, "given").random(count) > 0.4)[labels].astype(np.uint8)
    field = ndimage.gaussian_filter(random(*frame, *output).normal(size=truth.shape), 4)
    group["given"] = given if made.truth else truth
    group["probability"] = (255 / (1 + np.exp(-(6 * (2.0 * truth - 1) + 45 * field)))).astype(np.uint8)
    if made.truth:
        group["truth"] = truth


@cache
def blobs(size: tuple[int, int], scale: float, *what: Any) -> tuple[np.ndarray, np.ndarray]:
    """An image of dark blobs with noise (H, W) uint8, and their mask (H, W) uint8."""
    rng = random(*what)
    field = ndimage.gaussian_filter(rng.normal(size=size), scale)
    mask = field > 0.8 * field.std()
    image = 165 - 70 * ndimage.gaussian_filter(mask.astype(float), 1) + 14 * rng.normal(size=size)
    return image.clip(0, 255).astype(np.uint8), mask.astype(np.uint8)
