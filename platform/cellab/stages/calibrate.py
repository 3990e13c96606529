"""Finds from which probability on the members of a generation see a cell, by given masks alone (spec 10)."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from cellab.building import instantiate
from cellab.contracts import Calibration, Voting
from cellab.data.objects import NEIGHBOURS
from cellab.errors import DataError
from cellab.evaluation.ensemble import Ensemble, spread
from cellab.requests import Calibrate, Calibrated, Estimate
from cellab.stage import Workplace

LEVELS = 1001  # probabilities that are told apart, from 0 to 1
PARTS = 100  # of the curve that people see


@torch.no_grad()
def calibrate(request: Calibrate, workplace: Workplace) -> Calibrated:
    """Counts, on frames with given masks, how many pixels have which probability, and has a cut chosen by that.

    Returns:
        What is found for the vote, and for each member by itself.

    Raises:
        DataError: the given masks of those frames mark nothing.
    """
    calibration = instantiate(request.calibration, "calibration", Calibration)
    voting = instantiate(request.voting, "evaluation.voting", Voting)
    ensemble = Ensemble(request.unet, request.members, voting, request.tiles, workplace, request.compute)
    positives = torch.zeros(1 + len(request.members), LEVELS, dtype=torch.float64)  # the vote's first
    pixels = torch.zeros(positives.shape, dtype=torch.int64)
    with workplace.data.open(request.data.hiding) as data:
        assert calibration.split is not None  # else there is no such stage
        frames = data.indices(calibration.split)
        indices = spread(frames[data.annotated[frames]], calibration.frames).tolist()
        for done, index in enumerate(indices, start=1):
            (frame,), (given,) = (read(request.data.scale, [index]) for read in (data.frames, data.masks))
            predicted = ensemble.predict(frame)
            for number, probability in enumerate([predicted.mean(axis=0), *predicted]):
                positives[number] += _positives(calibration, probability, given > 0)
                pixels[number] += _histogram(probability)
            workplace.progress(done, len(indices))
    if not positives[0].any():
        raise DataError(
            f"calibration: the given masks of the {calibration.split} frames mark nothing to go by: use "
            f"calibration=none, or another calibration.split."
        )
    vote, *members = (_estimate(calibration, *of_one) for of_one in zip(positives, pixels, strict=True))
    return Calibrated(vote, tuple(members))


def _positives(calibration: Calibration, probability: np.ndarray, given: np.ndarray) -> Tensor:
    """How many given pixels have which probability, each as often as the calibration counts its object."""
    if not hasattr(calibration, "weights"):
        return _histogram(probability[given])
    numbered, count = ndimage.label(given, NEIGHBOURS)
    if count == 0:
        return torch.zeros(LEVELS, dtype=torch.float64)
    means = ndimage.mean(probability, numbered, np.arange(1, count + 1))
    weights = calibration.weights(torch.from_numpy(np.asarray(means, np.float64))).numpy()
    return _histogram(probability[given], weights[numbered[given] - 1])


def _histogram(probability: np.ndarray, weights: np.ndarray | None = None) -> Tensor:
    levels = np.rint(probability.ravel() * (LEVELS - 1)).astype(np.int64)
    return torch.from_numpy(np.bincount(levels, weights, minlength=LEVELS))


def _estimate(calibration: Calibration, positives: Tensor, pixels: Tensor) -> Estimate:
    levels = torch.linspace(0, 1, LEVELS, dtype=torch.float64)
    frequency = float((levels * positives).sum() / positives.sum())
    smallest = 0.5 / (LEVELS - 1)  # nothing can be stretched from 0
    cut = min(max(calibration.cut(positives, pixels), smallest), 1 - smallest)
    return Estimate(frequency, cut, _scores(positives, pixels))


def _scores(positives: Tensor, pixels: Tensor) -> list[float]:
    """The score of Lee and Liu (2003) for evenly spaced cuts from 0 to 1; 0 where nothing is called positive."""
    cuts = torch.linspace(0, LEVELS - 1, PARTS + 1).round().long()
    found, called = (counts.flip(0).cumsum(0).flip(0)[cuts].double() for counts in (positives, pixels))
    share = called / pixels.sum()
    scores = torch.where(called > 0, (found / positives.sum()) ** 2 / share.clamp(min=1e-300), 0.0)
    return [float(score) for score in scores]
