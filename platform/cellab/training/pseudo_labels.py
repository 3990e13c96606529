"""Makes pseudo-labels and keeps them: proposals, parents, entropy gate, recombination, replay buffer (paper 4.2, 4.3).

crop -> parents' mean probability X -> gate on the entropy of the soft X -> target -> recombination -> buffer
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cellab.contracts import Acceptance, Entropy, Voting
from cellab.settings import PseudoLabels
from cellab.training.crops import Crops
from cellab.training.names import ACCEPTED, AS_EMPTY, BY_ENTROPY, BY_PROMINENCE, COUNTERS

Member = Callable[[Tensor], Tensor]
Recombine = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Labelling:
    """The components that turn images into targets.

    Args:
        parents: all members of the previous generation, in evaluation mode.
        voting: their combination.
        entropy: (B, 1, H, W) probability to (B,) entropy.
        recombination: (given mask, pseudo-label) to (target, weight), all (B, 1, H, W).
    """

    parents: Sequence[Member]
    voting: Voting
    entropy: Entropy
    recombination: Recombine


@dataclass(frozen=True)
class Batch:
    """What a member is trained on: images, targets and weights, all (B, 1, S, S) float."""

    images: Tensor
    targets: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def pairs(self) -> Iterator["Batch"]:
        """Its pairs one by one."""
        for i in range(len(self)):
            yield Batch(self.images[i : i + 1], self.targets[i : i + 1], self.weights[i : i + 1])


def concatenate(batches: Sequence[Batch]) -> Batch:
    """One batch of several."""
    return Batch(
        torch.cat([batch.images for batch in batches]),
        torch.cat([batch.targets for batch in batches]),
        torch.cat([batch.weights for batch in batches]),
    )


class ReplayBuffer:
    """A first-in first-out buffer of accepted pairs.

    Args:
        capacity: pairs that it holds; the oldest leaves when it is full.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.pairs: list[Batch] = []

    def __len__(self) -> int:
        return len(self.pairs)

    def push(self, pair: Batch) -> None:
        """Adds a pair; drops the oldest beyond the capacity."""
        self.pairs.append(pair)
        del self.pairs[: -self.capacity]

    def sample(self, count: int, generator: torch.Generator) -> list[Batch]:
        """Uniform draws with replacement."""
        chosen = torch.randint(len(self.pairs), (count,), generator=generator)
        return [self.pairs[i] for i in chosen.tolist()]

    def state_dict(self) -> dict[str, Any]:
        """The pairs as three tensors."""
        if not self.pairs:
            return {}
        batch = concatenate(self.pairs)
        return {"images": batch.images, "targets": batch.targets, "weights": batch.weights}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Takes on the pairs."""
        self.pairs = []
        if state:
            self.pairs = list(Batch(*(state[name].to(device) for name in ("images", "targets", "weights"))).pairs())


class PseudoLabelSource:
    """Pairs of images and pseudo-labels from one source of images, through the gate and the replay buffer.

    The buffer is filled to a minimum before the first step. At each draw, with a small probability, a new accepted
    pair is made, which replaces the oldest; else a kept one is drawn.

    Args:
        propose: gives so many crops to label; reports how many it rejected by prominence.
        labelling: the components.
        acceptance: the gate, this source's own.
        settings: sizes and probabilities.
        minimum_prominence: least mean of a pseudo-label (guards generated crops against learning emptiness), or 0.
        generator: random stream of the draws.
        device: where images are.
    """

    def __init__(
        self,
        propose: Callable[[int], Crops],
        labelling: Labelling,
        acceptance: Acceptance,
        settings: PseudoLabels,
        minimum_prominence: float,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self.propose = propose
        self.labelling = labelling
        self.acceptance = acceptance
        self.settings = settings
        self.minimum_prominence = minimum_prominence
        self.generator = generator
        self.device = device
        self.buffer = ReplayBuffer(settings.capacity)
        self.waiting = ReplayBuffer(settings.batch_size)  # accepted in the last labelled batch, not yet asked for
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.overlap = {f"{fate}_{part}": 0 for fate in ("accepted", "rejected") for part in ("hit", "either")}
        self.thresholds: list[float] = []

    @property
    def is_dry(self) -> bool:
        """Whether not one pair was accepted when the buffer was to be filled: there is nothing to draw."""
        return len(self.buffer) == 0

    def fill(self, progress: Callable[[int, int], None] = lambda _done, _wanted: None) -> None:
        """Fills the buffer to its minimum, or with what was accepted before giving up, which is counted."""
        while len(self.buffer) < self.settings.minimum:
            pair = self._new_pair(self.settings.max_tries)
            if pair is None:
                break
            self.buffer.push(pair)
            progress(len(self.buffer), self.settings.minimum)

    def draw(self, count: int) -> list[Batch]:
        """`count` pairs: new ones with the refresh probability, else kept ones; fewer only where none is kept."""
        fresh = int((torch.rand(count, generator=self.generator) < self.settings.refresh_probability).sum())
        tries = self.settings.refresh_tries
        pairs = [pair for pair in (self._new_pair(tries) for _ in range(fresh)) if pair is not None]
        for pair in pairs:
            self.counters["refreshes"] += 1
            self.buffer.push(pair)
        return pairs if self.is_dry else pairs + self.buffer.sample(count - len(pairs), self.generator)

    def _new_pair(self, max_tries: int) -> Batch | None:
        """The next accepted pair; None, counted, where it takes more tries."""
        tries = 0
        while len(self.waiting) == 0:
            if tries >= max_tries:
                self.counters["gave_up"] += 1
                return None
            tries += self.settings.batch_size
            self._label_batch()
        return self.waiting.pairs.pop(0)

    @torch.no_grad()
    def _label_batch(self) -> None:
        """Labels one batch of proposals, and keeps those that pass."""
        crops = self.propose(self.settings.batch_size)
        votes = self.labelling.voting.votes(self.labelling.parents, crops.images)
        entropies = self.labelling.entropy(votes.mean(dim=0)).tolist()
        passed = torch.tensor(self.acceptance(entropies, votes), device=self.device)
        pseudo = self.labelling.voting.target(votes)
        full = pseudo.mean(dim=(1, 2, 3)) >= self.minimum_prominence
        keep = passed & full

        self._count(crops, passed, keep)
        if crops.truths is not None:
            self._compare(pseudo > 0.5, crops.truths > 0.5, keep)
        targets, weights = self.labelling.recombination(crops.masks, pseudo)
        if crops.annotated is not None:  # where there is no mask, nothing contradicts the pseudo-label
            given = crops.annotated[:, None, None, None]
            targets, weights = torch.where(given, targets, pseudo), torch.where(given, weights, 1.0)
        for pair in Batch(crops.images[keep], targets[keep], weights[keep]).pairs():
            self.waiting.push(pair)

    def _count(self, crops: Crops, passed: Tensor, keep: Tensor) -> None:
        self.counters["tried"] += crops.tried
        self.counters[BY_PROMINENCE] += crops.rejected
        self.counters[BY_ENTROPY] += int((~passed).sum())
        self.counters[AS_EMPTY] += int((passed & ~keep).sum())
        self.counters[ACCEPTED] += int(keep.sum())
        self.thresholds.append(self.acceptance.threshold)

    def _compare(self, pseudo: Tensor, truth: Tensor, keep: Tensor) -> None:
        for fate, chosen in (("accepted", keep), ("rejected", ~keep)):
            self.overlap[f"{fate}_hit"] += 2 * int((pseudo & truth)[chosen].sum())
            self.overlap[f"{fate}_either"] += int(pseudo[chosen].sum()) + int(truth[chosen].sum())

    def report(self) -> dict[str, Any]:
        """Counters, the gate's threshold over time (thinned to some 200) and, with truth, the pseudo-labels' Dice."""
        stride = max(1, len(self.thresholds) // 200)
        dice = {
            f"dice_{fate}": self.overlap[f"{fate}_hit"] / either if (either := self.overlap[f"{fate}_either"]) else None
            for fate in ("accepted", "rejected")
        }
        finite = [value for value in self.thresholds[::stride] if abs(value) != float("inf")]
        return {**self.counters, **dice, "threshold": finite}

    def state_dict(self) -> dict[str, Any]:
        """Buffers, gate and counters."""
        return {
            "buffer": self.buffer.state_dict(),
            "waiting": self.waiting.state_dict(),
            "acceptance": dict(self.acceptance.state_dict()),
            "counters": dict(self.counters),
            "overlap": dict(self.overlap),
            "thresholds": list(self.thresholds),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes them on."""
        self.buffer.load_state_dict(state["buffer"], self.device)
        self.waiting.load_state_dict(state["waiting"], self.device)
        self.acceptance.load_state_dict(state["acceptance"])
        self.counters = dict(state["counters"])
        self.overlap = dict(state["overlap"])
        self.thresholds = list(state["thresholds"])
