"""Fabricates studies' folders for the report's tests: made-up numbers, random blobs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import h5py
import numpy as np
import polars as pl
import pytest

Fabricate = Callable[..., Path]
METRICS = ("dice", "jaccard", "precision", "recall")


def rows(arm: str, seed: int, generations: int, truth: bool, rng: np.random.Generator) -> list[dict[str, Any]]:
    made = []
    for generation in range(generations):
        for split in ("train", "validation", "test"):
            for reference in ("given", "truth") if truth else ("given",):
                for average in ("micro", "macro"):
                    where = {"split": split, "reference": reference, "average": average}
                    names = (*METRICS, "hidden_recall") if (split, reference) == ("train", "truth") else METRICS
                    made += [
                        {"arm": arm, "seed": seed, "generation": generation, **where, "metric": name, "value": value}
                        for name, value in zip(names, rng.uniform(0.5, 0.95, len(names)), strict=True)
                    ]
    return made


def counters(arm: str, seed: int) -> list[dict[str, Any]]:
    counts = {"tried": 100, "rejected_by_prominence": 40, "rejected_by_entropy": 30, "rejected_as_empty": 0}
    rest = {"accepted": 30, "refreshes": 9, "gave_up": 0, "dice_accepted": 0.91, "dice_rejected": 0.72}
    where = {"arm": arm, "seed": seed, "generation": 1, "member": 0}
    return [
        {**where, "source": source, **counts, **rest, "threshold": [0.0, 4.0, 7.0]} for source in ("real", "generated")
    ]


def trial(seed: int, diverged: bool) -> dict[str, Any]:
    if not diverged:
        return {"seed": seed, "status": "completed", "stage": None, "step": None, "message": None}
    message = "the loss of the discriminator 0 became nan at step 417"
    return {"seed": seed, "status": "diverged", "stage": "generator", "step": 417, "message": message}


def summaries(results: pl.DataFrame, split: str, reference: str) -> dict[str, Any]:
    last = results.filter(
        (pl.col("split") == split)
        & (pl.col("average") == "micro")
        & (pl.col("reference") == reference)
        & (pl.col("generation") == pl.col("generation").max())
    )
    return {
        name: {"mean": group["value"].mean(), "sd": group["value"].std(), "n": group.height}
        for (name,), group in last.group_by("metric")
    }


def images(folder: Path, arms: list[str], seeds: list[int], generations: int, gan: bool, truth: bool) -> None:
    rng = np.random.default_rng(1)
    with h5py.File(folder / "images.h5", "w") as file:
        for arm in arms:
            where = f"{quote(arm, safe='')}/{seeds[0]}"
            if gan:
                file.require_dataset("real", (8, 16, 16), np.uint8)[...] = rng.integers(0, 255, (8, 16, 16))
                file[f"generated/{where}"] = rng.integers(0, 255, (8, 16, 16), np.uint8)
            for generation in range(generations):
                group = file.create_group(f"overlays/{where}/{generation}/test/7")
                group.attrs["name"] = "section 7"
                for name in ("image", "probability"):
                    group[name] = rng.integers(0, 255, (40, 400), np.uint8)
                for name in ("given", "truth") if truth else ("given",):
                    group[name] = (rng.random((40, 400)) > 0.7).astype(np.uint8)


@pytest.fixture
def fabricate(tmp_path: Path) -> Fabricate:
    """Makes a folder: `fabricate(arms=[...], seeds=[...], generations=3, truth=True, gan=True, diverged={"arm"})`."""

    def make(
        arms: tuple[str, ...] = ("gan_loss=ns_gp", "gan_loss=wgan"),
        seeds: tuple[int, ...] = (0, 1, 2),
        generations: int = 3,
        truth: bool = True,
        gan: bool = True,
        diverged: frozenset[str] = frozenset(),
    ) -> Path:
        rng = np.random.default_rng(0)
        folder = tmp_path / "study"
        folder.mkdir()
        reference = "truth" if truth else "given"
        good = [arm for arm in arms if arm not in diverged]
        made = [row for arm in good for seed in seeds for row in rows(arm, seed, generations, truth, rng)]
        schema = {"arm": pl.String, "seed": pl.Int64, "generation": pl.Int64, "split": pl.String}
        schema |= {"reference": pl.String, "average": pl.String, "metric": pl.String, "value": pl.Float64}
        results = pl.DataFrame(made, schema=schema)
        results.write_parquet(folder / "results.parquet")
        labels = (
            [row for arm in good for seed in seeds for row in counters(arm, seed)] if generations > 1 and gan else []
        )
        empty = {key: pl.Series([value]).dtype for key, value in counters("a", 0)[0].items()}
        pl.DataFrame(labels, schema=empty).write_parquet(folder / "pseudo_labels.parquet")
        entries = []
        for place, arm in enumerate(arms, start=1):
            mine = results.filter(pl.col("arm") == arm)
            gone = arm in diverged
            test = summaries(mine, "test", reference) | {
                name: value for name, value in summaries(mine, "train", reference).items() if name == "hidden_recall"
            }
            entries.append(
                {
                    "rank": None if gone else place,
                    "arm": arm,
                    "baseline": arm == arms[0],
                    "overrides": [arm],
                    "planned": len(seeds),
                    "completed": 0 if gone else len(seeds),
                    "diverged": len(seeds) if gone else 0,
                    "failed": 0,
                    "validation": {} if gone else summaries(mine, "validation", reference),
                    "test": {} if gone else test,
                    "trials": [trial(seed, gone) for seed in seeds],
                }
            )
        ranking = {"study": "made_up", "question": "Which loss <wins> & why?", "rank_by": "dice", "arms": entries}
        ranking |= {"rank_split": "validation", "rank_reference": reference, "rank_average": "micro"}
        (folder / "arms.json").write_text(json.dumps(ranking | {"generation": generations - 1}))
        (folder / "study.yaml").write_text(f"name: made_up\nseeds: {list(seeds)}\nconfig: {{members: 3}}\n")
        (folder / "provenance.json").write_text(json.dumps({"data": {"path": "some/cells.h5", "digest": "abc"}}))
        images(folder, good, list(seeds), generations, gan, truth)
        return folder

    return make
