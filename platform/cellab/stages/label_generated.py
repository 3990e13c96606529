"""Has the members of a generation label images of the lineage's generator, once for all members of the next."""

import numpy as np
import torch
from torch import Tensor

from cellab import hdf5
from cellab.building import instantiate
from cellab.contracts import Acceptance, Entropy, Labelling, Voting
from cellab.evaluation.calibration import cut_of, stretched
from cellab.evaluation.ensemble import voters
from cellab.requests import GeneratedLabelled, LabelGenerated
from cellab.stage import Workplace
from cellab.training.crops import least_means
from cellab.training.generated import GeneratedImages
from cellab.training.labels import GENERATED
from cellab.training.streams import Streams
from cellab.training.tally import Tally


@torch.no_grad()
def label_generated(request: LabelGenerated, workplace: Workplace) -> GeneratedLabelled:
    """Labels images until enough are accepted, as many have been tried as may be, or too few of them are accepted.

    Returns:
        What became of them. Those that were accepted, with their mean votes, are a file, 0 to 1 as 0 to 255.
    """
    streams = Streams(request.seed, torch.device(request.compute.device))
    labelling = instantiate(request.labelling, "labelling", Labelling)
    labeller = _Labeller(request, workplace, streams)
    kept: list[Tensor] = []  # (B, 2, S, S) uint8: image and probability
    counters = labeller.tally.counters
    while counters.accepted < labelling.generated:
        if counters.tried >= labelling.tries or labeller.tally.yields_less(
            labelling.least_yield, after=labelling.generated
        ):
            counters.gave_up += 1
            break
        kept.append(labeller.batch())
        workplace.progress(min(counters.accepted, labelling.generated), labelling.generated)
    pool = torch.cat(kept)[: labelling.generated].numpy() if kept else np.empty((0, 2, request.size, request.size))
    with hdf5.new_file(workplace.output / GENERATED) as file:
        file.create_dataset("images", data=pool[:, 0].astype(np.uint8))
        file.create_dataset("probabilities", data=pool[:, 1].astype(np.uint8))
    return GeneratedLabelled(labeller.tally.report())


class _Labeller:
    """Makes images, has them labelled, and keeps those that pass."""

    def __init__(self, request: LabelGenerated, workplace: Workplace, streams: Streams) -> None:
        self.request = request
        self.device = streams.device
        self.images = GeneratedImages(request.generated, request.size, workplace, streams)
        self.members = voters(request.unet, request.members, workplace, request.compute)
        self.voting = instantiate(request.voting, "voting", Voting)
        self.entropy = instantiate(request.entropy, "entropy", Entropy)
        self.acceptance = instantiate(request.acceptance, "acceptance", Acceptance)
        self.cut = cut_of(request.calibrated, workplace)
        self.draws = streams["draws"]
        self.tally = Tally()

    def batch(self) -> Tensor:
        """The accepted ones of a batch, with their probability (B, 2, S, S) uint8."""
        grey = self.images(self.request.batch_size)  # 0 to 255
        votes = self.voting.votes(self.members, grey / 255)
        as_cells = stretched(votes, self.cut)
        passed = torch.tensor(self.acceptance(self.entropy(as_cells.mean(dim=0)).tolist(), as_cells))
        least = least_means(len(grey), self.request.prominence, self.draws)
        prominent = self.voting.target(as_cells).mean(dim=(1, 2, 3)).cpu() >= least
        keep = passed & prominent
        self.tally.count(len(grey), 0, passed, keep, self.acceptance.threshold)
        both = torch.cat([grey, votes.mean(dim=0) * 255], dim=1).cpu()
        return both[keep].round().clamp(0, 255).to(torch.uint8)
