"""Has the members of a generation label training frames by tiles, once for all members of the next."""

import numpy as np
import torch

from cellab import hdf5
from cellab.building import instantiate
from cellab.contracts import Voting
from cellab.evaluation.ensemble import Ensemble
from cellab.requests import FramesLabelled, LabelFrames
from cellab.stage import Workplace
from cellab.training.labels import FRAMES


@torch.no_grad()
def label_frames(request: LabelFrames, workplace: Workplace) -> FramesLabelled:
    """Predicts a part of the training frames; the mean votes are a file, 0 to 1 as 0 to 255."""
    voting = instantiate(request.voting, "voting", Voting)
    ensemble = Ensemble(request.unet, request.members, voting, request.tiles, workplace, request.compute)
    with workplace.data.open(request.data.hiding) as data, hdf5.new_file(workplace.output / FRAMES) as file:
        mine = data.indices("train")[request.part :: request.parts].tolist()
        for done, index in enumerate(mine, start=1):
            (frame,) = data.frames(request.data.scale, [index])
            probability = np.rint(ensemble.predict(frame).mean(axis=0) * 255).astype(np.uint8)
            file.create_dataset(str(index), data=probability, compression="gzip", compression_opts=1, shuffle=True)
            workplace.progress(done, len(mine))
    return FramesLabelled(len(mine))
