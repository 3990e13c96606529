"""Members' sources of pairs that were labelled once for all of them: training frames, and generated images."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import h5py
import numpy as np
import torch
from torch import Tensor

from cellab.contracts import Acceptance, Augmentation, Entropy, Voting
from cellab.evaluation.calibration import stretched
from cellab.requests import Prominence, SourceReport
from cellab.training.crops import CropSource, views
from cellab.training.planes import Planes
from cellab.training.prominence import SummedAreas
from cellab.training.pseudo_labels import Recombine
from cellab.training.replay import Batch
from cellab.training.tally import Tally, TallyState

FRAMES = "frames.h5"  # a data set for each frame, by its number: (H, W) uint8
GENERATED = "generated.h5"  # `images` and `probabilities`: (n, S, S) uint8
CHUNK = 4  # candidates for a wanted crop that are looked at together

Progress = Callable[[int, int], None]


class FrameSourceState(TypedDict):
    """How far a source is."""

    acceptance: Mapping[str, object]
    waiting: Tensor
    is_dry: bool
    tally: TallyState


def read_frames(folders: Sequence[Path], count: int) -> list[np.ndarray]:
    """The probabilities, 0 to 255, of `count` training frames, which were labelled in parts."""
    found: dict[int, np.ndarray] = {}
    for folder in folders:
        with h5py.File(folder / FRAMES) as file:
            found |= {int(name): stored[:] for name, stored in file.items()}
    assert len(found) == count  # each in one part
    return [found[index] for index in sorted(found)]


class FrameLabelSource:
    """Crops of labelled frames: image, given mask and probability through one map.

    Args:
        crops: places of crops of the frames, and how they are augmented.
        probabilities: of the frames, (H, W) uint8, 0 to 255.
        prominence: of the given masks.
        cut: the probability from which on a pixel is a cell.
        voting: what makes targets of probabilities.
        entropy: what the gate looks at.
        acceptance: the gate, this source's own.
        recombination: (given mask, pseudo-label) to (target, weight).
        tries: candidates a wanted crop before giving up.
        least_yield: share of the candidates that must pass, or, after so many tries, nothing is asked of it again.
        generator: random stream of places, maps and looks.
    """

    def __init__(
        self,
        crops: CropSource,
        probabilities: Sequence[np.ndarray],
        prominence: Prominence,
        cut: float,
        voting: Voting,
        entropy: Entropy,
        acceptance: Acceptance,
        recombination: Recombine,
        tries: int,
        least_yield: float,
        generator: torch.Generator,
    ) -> None:
        self.crops = crops
        self.planes = _with_channel(crops.frames.planes, probabilities)
        self.prominence = prominence
        self.cut = cut
        self.voting = voting
        self.entropy = entropy
        self.acceptance = acceptance
        self.recombination = recombination
        self.tries = tries
        self.least_yield = least_yield
        self.generator = generator
        self.parts = SummedAreas([self._parts(each) for each in probabilities])
        self.waiting = torch.empty(0, 3, dtype=torch.int64)  # places that passed, not yet asked for
        self.is_dry = False
        self.tally = Tally()

    def _parts(self, probability: np.ndarray) -> np.ndarray:
        """Each pixel's part in the entropy (H, W) float64."""
        as_cell = stretched(torch.from_numpy(probability).double() / 255, self.cut)
        parts: np.ndarray = self.entropy.pixels(as_cell).numpy()
        return parts

    def fill(self, progress: Progress = lambda _done, _wanted: None) -> None:  # noqa: ARG002
        """Sees whether any crop passes; where none does, nothing is asked of it again."""
        self.waiting = self._places(1)
        self.is_dry |= len(self.waiting) == 0

    def draw(self, count: int) -> Batch | None:
        """`count` pairs, all new ones; fewer, or None, where too few passed."""
        places = self._places(count)
        if len(places) == 0:
            return None
        size, augmentation = self.crops.crop_size, self.crops.augmentation
        images, others = views(self.planes, places, size, augmentation, self.generator)
        given = (others[:, :1] >= 0.5).float()
        pseudo = self.voting.target(stretched(others[:, -1:] / 255, self.cut)[None])
        if self.crops.frames.has_truth:
            everything = torch.ones(len(places), dtype=torch.bool)
            self.tally.compare(pseudo, others[:, 1:2], everything)
        targets, weights = self.recombination(given, pseudo)
        known = self.crops.frames.annotated[places[:, 0]].to(images.device)[:, None, None, None]
        return Batch(images, torch.where(known, targets, pseudo), torch.where(known, weights, 1.0))

    def _places(self, count: int) -> Tensor:
        """(count, 3) of frame, top, left that are prominent and that the gate lets pass; fewer after all tries."""
        tried = 0
        while len(self.waiting) < count and tried < self.tries * count and not self.is_dry:
            chunk = CHUNK * count
            tried += chunk
            self.waiting = torch.cat([self.waiting, self._passing(chunk)])
            self.is_dry = self.tally.yields_less(self.least_yield, after=self.tries)
        if len(self.waiting) < count:
            self.tally.counters.gave_up += 1
        places, self.waiting = self.waiting[:count], self.waiting[count:]
        return places

    def _passing(self, count: int) -> Tensor:
        """Those of so many candidates that pass."""
        places, tried = self.crops.places(count, self.prominence, self.generator)
        places = places[torch.randperm(count, generator=self.generator)]  # prominent ones came first
        size = self.crops.crop_size
        entropies = self.entropy.of_total(self.parts.totals(places, size), size**2).tolist()
        nobodys = torch.empty(0, count, 1, size, size)
        passed = torch.tensor(self.acceptance(entropies, nobodys), dtype=torch.bool)
        self.tally.count(tried, tried - count, passed, passed, self.acceptance.threshold)
        return places[passed]

    def report(self) -> SourceReport:
        """What it went through."""
        return self.tally.report()

    def state_dict(self) -> FrameSourceState:
        """Gate, places and counters."""
        return {
            "acceptance": dict(self.acceptance.state_dict()),
            "waiting": self.waiting,
            "is_dry": self.is_dry,
            "tally": self.tally.state_dict(),
        }

    def load_state_dict(self, state: FrameSourceState) -> None:
        """Takes them on."""
        self.acceptance.load_state_dict(state["acceptance"])
        self.waiting, self.is_dry = state["waiting"], state["is_dry"]
        self.tally.load_state_dict(state["tally"])


class PoolSource:
    """Augmented images of a pool that was labelled.

    Args:
        folder: of the stage that labelled it.
        report: what became of the images that were tried for it.
        augmentation: how they are augmented.
        cut: the probability from which on a pixel is a cell.
        voting: what makes targets of probabilities.
        generator: random stream of choices, maps and looks.
        device: where pairs are wanted.
    """

    def __init__(
        self,
        folder: Path,
        report: SourceReport,
        augmentation: Augmentation,
        cut: float,
        voting: Voting,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        with h5py.File(folder / GENERATED) as file:
            channels = [file[name][:] for name in ("images", "probabilities")]
        self.planes = Planes.of_images(torch.from_numpy(np.stack(channels, axis=1)).to(device))
        self.count, self.size = (int(length) for length in channels[0].shape[:2])
        self._report = report
        self.augmentation = augmentation
        self.cut = cut
        self.voting = voting
        self.generator = generator

    @property
    def is_dry(self) -> bool:
        """Whether the pool is empty."""
        return self.count == 0

    def fill(self, progress: Progress = lambda _done, _wanted: None) -> None:
        """It is as full as it will be."""

    def draw(self, count: int) -> Batch | None:
        """`count` pairs; None where the pool is empty."""
        if self.is_dry:
            return None
        corner = torch.zeros(count, dtype=torch.int64)
        places = torch.stack([torch.randint(self.count, (count,), generator=self.generator), corner, corner], dim=1)
        images, probability = views(self.planes, places, self.size, self.augmentation, self.generator)
        pseudo = self.voting.target(stretched(probability / 255, self.cut)[None])
        return Batch(images, pseudo, torch.ones_like(pseudo))

    def report(self) -> SourceReport:
        """What became of the images that were tried for the pool."""
        return self._report

    def state_dict(self) -> Mapping[str, object]:
        """Nothing changes."""
        return {}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Nothing changes."""


def _with_channel(planes: Planes, channel: Sequence[np.ndarray]) -> Planes:
    """The planes with one channel more at the end."""
    flat = torch.from_numpy(np.concatenate([each.ravel() for each in channel])).to(planes.pixels.device)
    return Planes(torch.cat([planes.pixels, flat[None]]), planes.starts, planes.heights, planes.widths)
