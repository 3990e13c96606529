"""Evaluates one generation: its members vote on full frames, scored against given masks and truth (paper 9)."""

from collections.abc import Iterator

import h5py
import numpy as np
import torch

from cellab import hdf5
from cellab.building import instantiate
from cellab.contracts import Voting
from cellab.data.dataset import Dataset
from cellab.evaluation.calibration import HALF, cut_of, stretched
from cellab.evaluation.ensemble import Ensemble, spread
from cellab.evaluation.metrics import METRICS, Counts, Mask, average, count, count_hidden, pu_score, recall
from cellab.evaluation.names import HIDDEN_RECALL, PU_SCORE, SPLITS
from cellab.requests import Evaluate, Evaluated, Measurement, Tiles
from cellab.settings import Evaluation
from cellab.stage import Workplace

OVERLAYS = "overlays.h5"


@torch.no_grad()
def evaluate(request: Evaluate, workplace: Workplace) -> Evaluated:
    """Scores the ensemble of a generation's members on each split.

    Returns:
        Each metric of each split. Pictures of some frames are a file.
    """
    settings = request.settings
    voting = instantiate(settings.voting, "evaluation.voting", Voting)
    tiles = Tiles(settings.tile, settings.overlap, settings.batch_size)
    ensemble = Ensemble(request.unet, request.members, voting, tiles, workplace, request.compute)
    cut = cut_of(request.calibrated, workplace)
    rows: list[Measurement] = []
    with (
        workplace.data.open(request.data.hiding) as data,
        hdf5.new_file(workplace.output / OVERLAYS) as pictures,
    ):
        chosen = {split: _evaluated(data, split, settings) for split in SPLITS}
        total, done = sum(map(len, chosen.values())), 0
        for split, indices in chosen.items():
            tally = _Tally()
            shown = set(spread(indices, settings.overlays).tolist())
            for index, frame, given, truth in _frames(data, request.data.scale, indices):
                votes = stretched(torch.from_numpy(ensemble.predict(frame)), cut)
                decided = voting.target(votes[:, None, None])[0, 0].numpy() > HALF
                annotated = bool(data.annotated[index])
                tally.add(decided, given if annotated else None, truth)
                if index in shown:
                    vote = votes.mean(dim=0).numpy()
                    _save_overlay(pictures, split, index, data.names[index], frame, given, truth, vote)
                done += 1
                workplace.progress(done, total)
            rows += tally.rows(split)
    return Evaluated(tuple(rows))


def _evaluated(data: Dataset, split: str, settings: Evaluation) -> np.ndarray:
    """The frames of a split that can be scored; of the training split an evenly spaced part."""
    indices: np.ndarray = data.indices(split)
    if not data.has_truth:
        indices = indices[data.annotated[indices]]
    return spread(indices, settings.train_frames) if split == "train" else indices


def _frames(data: Dataset, scale: float, indices: np.ndarray) -> Iterator[tuple[int, np.ndarray, Mask, Mask | None]]:
    for index in indices.tolist():
        truth = data.truth(scale, [index])[0].astype(bool) if data.has_truth else None
        yield index, data.frames(scale, [index])[0], data.masks(scale, [index])[0].astype(bool), truth


class _Tally:
    """Counts frame by frame, against each reference."""

    def __init__(self) -> None:
        self.given: list[Counts] = []
        self.truth: list[Counts] = []
        self.hidden: list[Counts] = []

    def add(self, prediction: Mask, given: Mask | None, truth: Mask | None) -> None:
        """One frame; `given` is None where it has no mask, `truth` where the data set has none."""
        if given is not None:
            self.given.append(count(prediction, given))
        if truth is not None:
            self.truth.append(count(prediction, truth))
            hidden = count_hidden(prediction, np.zeros_like(truth) if given is None else given, truth)
            if hidden.tp + hidden.fn:
                self.hidden.append(hidden)

    def rows(self, split: str) -> Iterator[Measurement]:
        """Each metric against each reference that there is, both ways of averaging."""
        for how in ("micro", "macro"):
            for reference, counts in (("given", self.given), ("truth", self.truth)):
                for name, metric in METRICS.items() if counts else ():
                    yield Measurement(split, reference, how, name, average(metric, counts, how))
            if how == "micro" and self.given:
                yield Measurement(split, "given", how, PU_SCORE, average(pu_score, self.given, how))
            if self.hidden:
                yield Measurement(split, "truth", how, HIDDEN_RECALL, average(recall, self.hidden, how))


def _save_overlay(
    pictures: h5py.File,
    split: str,
    index: int,
    name: str,
    frame: np.ndarray,
    given: Mask,
    truth: Mask | None,
    probability: np.ndarray,
) -> None:
    group = pictures.create_group(f"{split}/{index}")
    group.attrs["name"] = name
    group.create_dataset("image", data=frame, compression="gzip")
    group.create_dataset("given", data=given.astype(np.uint8), compression="gzip")
    group.create_dataset("probability", data=np.round(probability * 255).astype(np.uint8), compression="gzip")
    if truth is not None:
        group.create_dataset("truth", data=truth.astype(np.uint8), compression="gzip")
