"""Makes pseudo-labels and keeps them: proposals, parents, entropy gate, recombination, replay buffer (paper 4.2, 4.3).

crop -> parents' mean probability X -> gate on the entropy of the soft X -> target -> recombination -> buffer
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from cellab.contracts import Acceptance, Entropy, Voting
from cellab.evaluation.calibration import HALF, stretched
from cellab.requests import Prominence, SourceReport
from cellab.settings import PseudoLabels
from cellab.training.crops import Crops, chosen, least_means
from cellab.training.replay import Batch, ReplayBuffer, concatenate
from cellab.training.tally import Tally, TallyState

Member = Callable[[Tensor], Tensor]
Recombine = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Labelling:
    """The components that turn images into targets.

    Args:
        parents: those who label, in evaluation mode.
        voting: their combination.
        entropy: (B, 1, H, W) probability to (B,) entropy.
        recombination: (given mask, pseudo-label) to (target, weight), all (B, 1, H, W).
        cut: the probability from which on a pixel is a cell.
    """

    parents: Sequence[Member]
    voting: Voting
    entropy: Entropy
    recombination: Recombine
    cut: float = HALF


class SourceState(TypedDict):
    """How far a source is: tensors by name of what it keeps, and what it counted."""

    buffer: dict[str, Tensor]
    waiting: dict[str, Tensor]
    acceptance: Mapping[str, object]
    tally: TallyState


class PseudoLabelSource:
    """Pairs of images and pseudo-labels from one source of images, through the gate and the replay buffer.

    The buffer is filled to a minimum before the first step. At each draw, with a small probability, a new accepted
    pair is made, which replaces the oldest; else a kept one is drawn.

    Args:
        propose: gives so many crops to label; reports how many it rejected by prominence.
        labelling: the components.
        acceptance: the gate, this source's own.
        settings: sizes and probabilities.
        prominence: of pseudo-labels (guards generated crops against learning emptiness).
        generator: random stream of the draws.
        device: where images are.
        pairs_age: whether what was labelled goes out of date: every draw then makes new pairs, and none is kept for
            before the first step.
    """

    def __init__(
        self,
        propose: Callable[[int], Crops],
        labelling: Labelling,
        acceptance: Acceptance,
        settings: PseudoLabels,
        prominence: Prominence,
        generator: torch.Generator,
        device: torch.device,
        *,
        pairs_age: bool = False,
    ) -> None:
        self.propose = propose
        self.labelling = labelling
        self.acceptance = acceptance
        self.settings = settings
        self.prominence = prominence
        self.generator = generator
        self.device = device
        self.pairs_age = pairs_age
        self.refresh_probability = 1.0 if pairs_age else settings.refresh_probability
        self.buffer = ReplayBuffer(settings.capacity)
        self.waiting: Batch | None = None  # accepted in the last labelled batch, not yet asked for
        self.tally = Tally()

    @property
    def is_dry(self) -> bool:
        """Whether it has nothing to give: draws take kept pairs, and there are none."""
        return len(self.buffer) == 0 and not self.pairs_age

    @property
    def yields_little(self) -> bool:
        """Whether so few crops are accepted that no more are labelled; whoever learns may yet come to accept more."""
        return not self.pairs_age and self.tally.yields_less(self.settings.least_yield, after=self.settings.max_tries)

    def fill(self, progress: Callable[[int, int], None] = lambda _done, _wanted: None) -> None:
        """Fills the buffer to its minimum, or with what was accepted before giving up, which is counted."""
        minimum = 0 if self.pairs_age else self.settings.minimum
        while len(self.buffer) < minimum:
            pair = self._new_pairs(1, self.settings.max_tries)
            if pair is None:
                break
            self.buffer.push(pair)
            progress(len(self.buffer), minimum)

    def draw(self, count: int) -> Batch | None:
        """`count` pairs: new ones with the refresh probability, else kept ones; fewer, or None, if none is kept."""
        fresh = chosen(count, self.refresh_probability, self.generator)
        pairs = self._new_pairs(fresh, self.settings.refresh_tries) if fresh else None
        if pairs is not None:
            self.tally.counters.refreshes += len(pairs)
        if self.pairs_age:
            return pairs
        if pairs is not None:
            self.buffer.push(pairs)
        missing = count - (0 if pairs is None else len(pairs))
        if len(self.buffer) == 0 or missing == 0:
            return pairs
        kept = self.buffer.sample(missing, self.generator)
        return kept if pairs is None else concatenate([pairs, kept])

    def _new_pairs(self, count: int, max_tries: int) -> Batch | None:
        """The next accepted pairs, without those, counted, for which `max_tries` crops were not enough; None: none."""
        found: list[Batch] = []
        tries = 0
        while count > 0:
            if self.waiting is not None and len(self.waiting):
                found.append(self.waiting[:count])
                self.waiting = self.waiting[count:]
                count -= len(found[-1])
                tries = 0
            elif self.yields_little:
                break
            elif tries >= max_tries:
                self.tally.counters.gave_up += 1
                count -= 1
                tries = 0
            else:
                tries += self.settings.batch_size
                self.waiting = self._label_batch()
        return concatenate(found) if found else None

    @torch.no_grad()
    def _label_batch(self) -> Batch:
        """Labels one batch of proposals; gives those that pass."""
        crops = self.propose(self.settings.batch_size)
        votes = stretched(self.labelling.voting.votes(self.labelling.parents, crops.images), self.labelling.cut)
        entropies = self.labelling.entropy(votes.mean(dim=0)).tolist()
        passed = torch.tensor(self.acceptance(entropies, votes), device=self.device)
        pseudo = self.labelling.voting.target(votes)
        least = least_means(len(pseudo), self.prominence, self.generator).to(self.device)
        full = pseudo.mean(dim=(1, 2, 3)) >= least
        keep = passed & full

        yielded_little = self.yields_little
        self.tally.count(crops.tried, crops.rejected, passed, keep, self.acceptance.threshold)
        self.tally.counters.gave_up += self.yields_little and not yielded_little
        if crops.truths is not None:
            self.tally.compare(pseudo, crops.truths, keep)
        targets, weights = self.labelling.recombination(crops.masks, pseudo)
        if crops.annotated is not None:  # where there is no mask, nothing contradicts the pseudo-label
            given = crops.annotated[:, None, None, None]
            targets, weights = torch.where(given, targets, pseudo), torch.where(given, weights, 1.0)
        return Batch(crops.images, targets, weights)[keep]

    def report(self) -> SourceReport:
        """What it went through."""
        return self.tally.report()

    def state_dict(self) -> SourceState:
        """Buffers, gate and counters."""
        return {
            "buffer": self.buffer.state_dict(),
            "waiting": self.waiting.state_dict() if self.waiting is not None else {},
            "acceptance": dict(self.acceptance.state_dict()),
            "tally": self.tally.state_dict(),
        }

    def load_state_dict(self, state: SourceState) -> None:
        """Takes them on."""
        self.buffer.load_state_dict(state["buffer"], self.device)
        self.waiting = Batch.of_state(state["waiting"], self.device) if state["waiting"] else None
        self.acceptance.load_state_dict(state["acceptance"])
        self.tally.load_state_dict(state["tally"])
