"""The share of cell pixels, marked or not, by what a network says of the marked ones while it learns marks."""

from typing import TypedDict

import torch
from torch import Tensor

from cellab_components.checks import at_least

LARGEST = 0.99  # a prior of 1 would leave no background


class ClassPriorState(TypedDict):
    """How many batches were seen; the sums of all pixels, marked ones, and marked ones times their probability."""

    batches: int
    pixels: float
    marked: float
    found: float


class ClassPrior:
    """The class prior, estimated once, from the batches in which a network learns P(marked | x) by cross-entropy.

    .. code-block:: text

        prior = m / e1,   at least m and at most 0.99
        m  = sum w t / sum w        share of marked pixels
        e1 = sum w t p / sum w t    mean probability of marked ones (Elkan and Noto), p = sigmoid(logit)

    over the second half of the first `warm_up` batches. Where marked pixels are a random choice of all cell pixels,
    P(marked | x) = c P(cell | x), and e1 = c m / (c prior) wherever marked pixels are surely cells. It errs where

    - some are not, as at outlines: it is 1 / E[P(cell | x) | marked] times too large;
    - the network has not learned enough, e1 is still about m: too large, up to 0.99;
    - it knows the marks by heart, e1 is near 1: too small, down to m;
    - marked cells are easier ones than the others: too small.

    It is not estimated again later. A network that learns by a prior has p = min(1, prior P(cell | x) / true prior).
    So the mean of p over all pixels, as an estimate, confirms any prior that is too small, and e1, rescaled, raises any
    as long as a marked pixel is not sure: neither alternation comes to rest at the true one.

    Reference: Elkan and Noto, *Learning classifiers from only positive and unlabeled data*, KDD 2008, estimator e1.

    Args:
        warm_up: batches.

    Raises:
        ValueError: `warm_up` is not a whole number of at least 2.
    """

    def __init__(self, warm_up: int) -> None:
        self.warm_up = at_least("warm_up", warm_up, 2)
        self._batches = 0
        self._pixels = self._marked = self._found = 0.0

    @property
    def value(self) -> float | None:
        """The prior in [0, 0.99]; None while it is not known."""
        if self._batches < self.warm_up:
            return None
        share = self._marked / self._pixels if self._pixels else 0.0
        return min(share * self._marked / self._found, LARGEST) if self._found else share

    @torch.no_grad()
    def watch(self, logits: Tensor, marked: Tensor, weight: Tensor | None) -> None:
        """Sees a batch of logits, weighted marks and weights, all (B, 1, H, W); does nothing after the warm-up."""
        if self._batches >= self.warm_up:
            return
        self._batches += 1
        if self._batches > self.warm_up // 2:
            self._pixels += float(logits.numel() if weight is None else weight.sum())
            self._marked += float(marked.sum())
            self._found += float((marked * torch.sigmoid(logits)).sum())

    def state_dict(self) -> ClassPriorState:
        """What it has seen."""
        return {
            "batches": self._batches,
            "pixels": self._pixels,
            "marked": self._marked,
            "found": self._found,
        }

    def load_state_dict(self, state: ClassPriorState) -> None:
        """Goes on from there."""
        self._batches = state["batches"]
        self._pixels, self._marked, self._found = state["pixels"], state["marked"], state["found"]
